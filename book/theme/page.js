// What mdBook's page lacks for those who read it without a mouse or without seeing it: its bar is a
// landmark, its button for the table of contents can be reached and pressed by keyboard.
'use strict';
(() => {
    document.getElementById('mdbook-menu-bar')?.setAttribute('role', 'banner');

    const toggle = document.getElementById('mdbook-sidebar-toggle');
    if (toggle) {
        toggle.setAttribute('role', 'button');
        toggle.tabIndex = 0;
        toggle.addEventListener('keydown', (event) => {
            if (event.key === 'Enter' || event.key === ' ') {
                event.preventDefault();
                toggle.click();
            }
        });
    }

    // A table's corner that heads nothing is no heading.
    for (const corner of document.querySelectorAll('main th')) {
        if (corner.textContent.trim() === '') { corner.replaceWith(document.createElement('td')); }
    }
})();
