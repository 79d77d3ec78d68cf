document.body.dataset.ready = 'yes'; // for those who wait for the page
