// Colours: as the system wants them, or light, or dark. A classic script in the head, so that the page never shows the
// wrong colours first. The button is wired by main.js through window.smartstackTheme.
(() => {
  const key = 'smartstack.theme';
  const order = ['auto', 'light', 'dark'];
  const names = { auto: 'as the system', light: 'light', dark: 'dark' };

  function stored() {
    try {
      return order.includes(localStorage.getItem(key)) ? localStorage.getItem(key) : 'auto';
    } catch {
      return 'auto'; // storage may be forbidden
    }
  }

  function apply(theme) {
    document.documentElement.dataset.theme = theme;
  }

  function show(button, theme) {
    button.setAttribute('aria-label', `Colours: ${names[theme]}`);
    button.title = `Colours: ${names[theme]}`;
    button.querySelector('use').setAttribute('href', `#icon-${theme}`);
  }

  apply(stored());
  window.smartstackTheme = (button) => {
    show(button, stored());
    button.addEventListener('click', () => {
      const theme = order[(order.indexOf(document.documentElement.dataset.theme) + 1) % order.length];
      try {
        localStorage.setItem(key, theme);
      } catch {
        // lasts until the page is left
      }
      apply(theme);
      show(button, theme);
    });
  };
})();
