/* What is wider than a narrow screen scrolls by itself, and can be reached from the keyboard; what
   opens a part of the contents says which. */
(() => {
  "use strict";

  const WIDE =
    ".bd-article span.math, .bd-article mjx-container[display], .bd-article pre, " +
    ".bd-article .pst-scrollable-table-container";

  /** [width of what is inside, room for it] */
  function widths(element) {
    // a formula by itself is drawn, and does not count as scrolling; one in a table does
    const drawing = !element.matches(".pst-scrollable-table-container") && element.querySelector("svg");
    if (!drawing) return [element.scrollWidth, element.clientWidth];
    const room = element.matches("span") ? element.closest("p, li, dd, td, th, div") : element;
    return [drawing.getBoundingClientRect().width, room.clientWidth];
  }

  function mark() {
    for (const element of document.querySelectorAll(WIDE)) {
      const [inside, room] = widths(element);
      const scrolls = inside > room + 1;
      element.classList.toggle("sg-scrolls", scrolls);
      if (scrolls) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  }

  function name() {
    for (const toggle of document.querySelectorAll("summary:has(> .toctree-toggle)")) {
      const above = toggle.closest("li").querySelector("a");
      toggle.setAttribute("aria-label", `Pages below ${above.textContent}`);
    }
  }

  window.addEventListener("load", () => {
    name();
    const typeset = window.MathJax && window.MathJax.startup && window.MathJax.startup.promise;
    Promise.resolve(typeset).then(() => {
      mark();
      window.addEventListener("resize", mark);
    });
  });
})();
