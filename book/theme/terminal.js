// Recorded terminals: the whole text stands in the page, to be searched and copied. Played, it is shown
// line by line, in the order in which it was typed and came out.
'use strict';
(() => {
    if (/\/print\.html$/.test(location.pathname)) { return; }
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;

    const button = (text) => {
        const made = document.createElement('button');
        made.type = 'button';
        made.textContent = text;
        return made;
    };

    // Each block's text as lines, each line an element of its own; colours of the highlighter are kept.
    const lines = (code) => {
        const made = [];
        let line = document.createElement('span');
        const end = () => { if (line.childNodes.length) { line.className = 'line'; made.push(line); } line = document.createElement('span'); };
        const take = (node, wrap) => {
            if (node.nodeType === Node.TEXT_NODE) {
                node.data.split('\n').forEach((part, at, all) => {
                    const last = at === all.length - 1;
                    if (part || !last) { line.append(wrap(document.createTextNode(last ? part : part + '\n'))); }
                    if (!last) { end(); }
                });
                return;
            }
            for (const child of Array.from(node.childNodes)) {
                take(child, (inner) => { const shell = node.cloneNode(false); shell.append(inner); return wrap(shell); });
            }
        };
        for (const child of Array.from(code.childNodes)) { take(child, (inner) => inner); }
        end();
        code.replaceChildren(...made);
        return made;
    };

    for (const terminal of document.querySelectorAll('figure.terminal')) {
        const blocks = Array.from(terminal.querySelectorAll('pre code'));
        if (!blocks.some((b) => b.classList.contains('language-text'))) { continue; }
        let all = null;
        let at = 0;
        let timer = 0;
        let playing = false;
        const bar = document.createElement('p');
        bar.className = 'player';
        const play = button('Play');
        const step = button('Step');
        const whole = button('Show all');
        const where = document.createElement('span');
        where.setAttribute('role', 'status');
        whole.disabled = true;
        bar.append(play, step, whole, where);
        terminal.append(bar);

        const begin = () => {
            all = all || blocks.flatMap(lines);
            if (playing) { return; }
            playing = true;
            at = 0;
            all.forEach((l) => l.classList.add('later'));
            whole.disabled = false;
        };
        const stop = () => { clearTimeout(timer); timer = 0; play.textContent = 'Play'; };
        const end = () => {
            stop();
            all?.forEach((l) => l.classList.remove('later'));
            playing = false;
            whole.disabled = true;
            where.textContent = '';
        };
        // One line that was typed, or all that came out up to the next.
        const on = () => {
            const typed = (line) => line.closest('.language-sh') !== null;
            const first = all[at];
            do { all[at].classList.remove('later'); at += 1; } while (at < all.length && !typed(first) && !typed(all[at]));
            where.textContent = ` line ${at} of ${all.length}`;
            if (at >= all.length) { end(); }
        };
        step.addEventListener('click', () => { stop(); begin(); on(); });
        whole.addEventListener('click', end);
        play.addEventListener('click', () => {
            if (timer) { stop(); return; }
            begin();
            play.textContent = 'Pause';
            const tick = () => { on(); if (playing) { timer = setTimeout(tick, calm ? 2000 : 900); } };
            timer = setTimeout(tick, 0);
        });
    }

    // What is wider than the page scrolls in its own box, by keyboard too.
    // Looked at again when the page becomes narrower, as beside a terminal.
    const reachable = (box) => {
        if (box.scrollWidth > box.clientWidth) { box.tabIndex = 0; } else { box.removeAttribute('tabindex'); }
    };
    const sized = new ResizeObserver((all) => all.forEach(({ target }) => reachable(target)));
    for (const box of document.querySelectorAll('main pre > code, main .table-wrapper')) {
        reachable(box);
        sized.observe(box);
    }
})();
