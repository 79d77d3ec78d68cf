// The theme's arrows that open and close a part of the navigation have no name of their own.
for (const arrow of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
  arrow.setAttribute("aria-label", "Pages below this one");
}
