// What mdBook's page lacks for those who read it without a mouse or without seeing it: its bar is a
// landmark, its button for the table of contents can be reached and pressed by keyboard.
'use strict';
(() => {
    document.getElementById('mdbook-menu-bar')?.setAttribute('role', 'banner');

    // mdBook has a label there, which takes no focus.
    const label = document.getElementById('mdbook-sidebar-toggle');
    const anchor = document.getElementById('mdbook-sidebar-toggle-anchor');
    if (label && anchor) {
        const button = document.createElement('button');
        button.type = 'button';
        for (const name of ['id', 'class', 'title', 'aria-label', 'aria-controls', 'aria-expanded']) {
            button.setAttribute(name, label.getAttribute(name) || '');
        }
        button.append(...label.childNodes);
        button.addEventListener('click', () => anchor.click());
        anchor.addEventListener('change', () => button.setAttribute('aria-expanded', String(anchor.checked)));
        label.replaceWith(button);
    }

    // A table's corner that heads nothing is no heading.
    for (const corner of document.querySelectorAll('main th')) {
        if (corner.textContent.trim() === '') { corner.replaceWith(document.createElement('td')); }
    }
})();
