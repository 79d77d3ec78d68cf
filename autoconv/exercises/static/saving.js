// Saves what was filled in as a file.
document.getElementById('save').addEventListener('click', () => {
  const answers = {};
  for (const field of document.querySelectorAll('input[data-blank]')) answers[field.dataset.blank] = field.value.trim();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers, null, 1)], {type: 'application/json'}));
  link.download = 'answers.json';
  link.click();
  URL.revokeObjectURL(link.href);
});
