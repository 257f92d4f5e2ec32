// Figures in stages: one after the other, by buttons; without this all of them stand in the page.
'use strict';
(() => {
    if (/\/print\.html$/.test(location.pathname)) { return; }
    for (const figure of document.querySelectorAll('.stages')) {
        const stages = Array.from(figure.querySelectorAll('ol > li'));
        const button = (text) => {
            const made = document.createElement('button');
            made.type = 'button';
            made.textContent = text;
            return made;
        };
        const [back, next, all] = ['Back', 'Next', 'Show all'].map(button);
        const where = document.createElement('span');
        const bar = document.createElement('p');
        bar.className = 'player';
        bar.append(back, next, all, where);
        figure.prepend(bar);
        // What comes into sight is read out.
        figure.querySelector('ol').setAttribute('aria-live', 'polite');
        let at = 0;
        let whole = false;
        const draw = () => {
            stages.forEach((stage, number) => { stage.hidden = !whole && number !== at; });
            back.disabled = whole || at === 0;
            next.disabled = whole || at === stages.length - 1;
            all.textContent = whole ? 'One at a time' : 'Show all';
            where.textContent = whole ? '' : ` ${at + 1} of ${stages.length}`;
        };
        back.addEventListener('click', () => { at -= 1; draw(); });
        next.addEventListener('click', () => { at += 1; draw(); });
        all.addEventListener('click', () => { whole = !whole; draw(); });
        draw();
    }
})();
