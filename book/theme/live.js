// Pages that our own server gives out: marks of what was passed and answered, the verdict on the exercise
// in hand as the kernel changes, and, in a live book, a terminal beside the text. See src/book/live.rs.
'use strict';
(() => {
    // Without the token nothing of this is answered; the cookie that says so is no secret.
    if (!document.cookie.split('; ').includes(`drydock-${location.port}-known=1`)) { return; }
    if (/\/(print|toc)\.html$/.test(location.pathname)) { return; }

    const make = (tag, attributes = {}, ...inside) => {
        const element = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) { element.setAttribute(name, value); }
        element.append(...inside);
        return element;
    };
    const base = new URL(typeof path_to_root === 'string' ? path_to_root : '', location.href);
    const at = (path) => new URL(path, base);
    const post = async (path, body) => {
        const answer = await fetch(at(path), { method: 'POST', body });
        const told = await answer.json().catch(() => ({}));
        if (!answer.ok) { throw new Error(told.problem || `the server said ${answer.status}`); }
        return told;
    };
    const remembered = (key) => { try { return sessionStorage.getItem(key); } catch { return null; } };
    const remember = (key, value) => {
        try { if (value === null) { sessionStorage.removeItem(key); } else { sessionStorage.setItem(key, value); } } catch { /* a browser that keeps nothing */ }
    };

    let record = null;
    let verdict = null;
    let terminal = null;

    // --- marks ---------------------------------------------------------------------------------

    const mark = (heading, text) => {
        let badge = heading.querySelector('.kept');
        if (!badge) { badge = make('span', { class: 'kept' }); heading.append(badge); }
        badge.textContent = text ? ` ${text}` : '';
    };

    const showMarks = () => {
        for (const facts of document.querySelectorAll('main [data-exercise]')) {
            let heading = facts.previousElementSibling;
            while (heading && heading.tagName !== 'H2') { heading = heading.previousElementSibling; }
            if (heading) { mark(heading, record.passed.includes(facts.dataset.exercise) ? '✓ passed' : ''); }
        }
        for (const question of document.querySelectorAll('main .question[data-id]')) {
            const kept = record.answers[question.dataset.id];
            const heading = question.previousElementSibling;
            if (heading) { mark(heading, !kept ? '' : kept.right ? '✓ answered' : '✗ to be answered again'); }
        }
        for (const link of document.querySelectorAll('#mdbook-sidebar .chapter a[href]')) {
            const chapter = link.pathname.split('/').pop().replace(/\.html$/, '');
            const all = record.about[chapter];
            if (!all || link.hash) { continue; }
            const passed = record.passed.filter((id) => id.startsWith(`${chapter}/`)).length;
            mark(link, passed === 0 ? '' : passed === all ? '✓' : `${passed}/${all}`);
            link.querySelector('.kept').title = `${passed} of ${all} exercises passed`;
        }
    };

    // --- an exercise and its verdict -----------------------------------------------------------

    const WORDS = { passed: '✓ passed', 'not-yet': '… not yet', 'cannot-tell': '? cannot tell here' };
    const SIGNS = { passed: '✓', 'not-yet': '…', 'cannot-tell': '?' };

    const evidence = (one) => {
        const item = make('li', { class: one.outcome }, make('span', { class: 'sign' }, `${SIGNS[one.outcome] || ''} `), one.expected);
        if (one.outcome !== 'passed') {
            item.append(make('br'), `found ${one.found}, in `, make('code', {}, one.at));
            if (one.meaning) { item.append(make('br'), one.meaning); }
            if (one.next) { item.append(make('br'), 'next: ', one.next); }
        }
        return item;
    };

    class Exercise {
        constructor(facts) {
            this.id = facts.dataset.exercise;
            this.button = make('button', { type: 'button', class: 'begin' }, 'Begin this exercise');
            this.said = make('p', { class: 'said', role: 'status' });
            this.list = make('ul', { class: 'evidence' });
            this.root = make('div', { class: 'live', hidden: '' }, make('p', { class: 'buttons' }, this.button), this.said, this.list);
            this.button.addEventListener('click', () => this.begin());
            facts.after(this.root);
        }

        async begin() {
            this.button.disabled = true;
            this.say(record.lab && !record.up ? 'The lab is being begun: that takes a while.' : 'Beginning …');
            try {
                await post('live/start', this.id);
                this.say('Begun. Work in the terminal: the verdict stands here.');
                panel.show();
            } catch (error) {
                this.say(error.message);
            }
            this.button.disabled = false;
        }

        say(text) { if (this.said.textContent !== text) { this.said.textContent = text; } }

        show() {
            this.root.hidden = !record.live;
            const inHand = record.hand === this.id;
            this.button.hidden = inHand;
            this.root.classList.toggle('in-hand', inHand);
            const mine = inHand && verdict?.exercise === this.id ? verdict : null;
            this.root.dataset.outcome = mine?.outcome || '';
            this.list.replaceChildren(...(mine?.evidence || []).map(evidence));
            if (mine) {
                this.say(WORDS[mine.outcome] || '');
            } else if (inHand) {
                this.say(record.up ? 'The kernel is being asked …' : 'Open the terminal: the lab is not running.');
            } else if (!this.button.disabled) {
                this.say('');
            }
        }
    }

    const exercises = Array.from(document.querySelectorAll('main [data-exercise]'), (facts) => new Exercise(facts));

    // --- the terminal --------------------------------------------------------------------------

    const isDark = () => ['coal', 'navy', 'ayu'].some((name) => document.documentElement.classList.contains(name));

    const panel = {
        root: null,

        build() {
            this.status = make('span', { class: 'status', role: 'status' });
            this.again = make('button', { type: 'button', hidden: '' }, 'New shell');
            this.aloud = make('button', { type: 'button', 'aria-pressed': 'false' }, 'Screen reader');
            this.hide = make('button', { type: 'button' }, 'Hide');
            const how = make('span', { class: 'how', id: 'terminal-how' }, 'Shift+F6 leaves it');
            const bar = make('div', { class: 'bar' }, make('h2', { id: 'terminal-title' }, record.lab ? 'Terminal in the lab' : 'Terminal on this machine'), this.status, how, this.again, this.aloud, this.hide);
            this.place = make('div', { class: 'place' });
            this.root = make('section', { id: 'terminal', 'aria-labelledby': 'terminal-title', 'aria-describedby': 'terminal-how', hidden: '' }, bar, this.place);
            document.body.append(this.root);
            this.toggle = make('button', { type: 'button', id: 'terminal-toggle', class: 'icon-button', 'aria-expanded': 'false', 'aria-controls': 'terminal' }, 'Terminal');
            document.querySelector('#mdbook-menu-bar .right-buttons')?.prepend(this.toggle);
            this.toggle.addEventListener('click', () => { if (this.root.hidden) { this.show(); } else { this.close(); } });
            this.hide.addEventListener('click', () => this.close());
            this.again.addEventListener('click', () => { remember('drydock.terminal', null); terminal?.end(); terminal = null; this.connect(); });
            this.aloud.addEventListener('click', () => {
                const on = this.aloud.getAttribute('aria-pressed') !== 'true';
                this.aloud.setAttribute('aria-pressed', String(on));
                remember('drydock.aloud', on ? 'yes' : null);
                terminal?.read(on);
                terminal?.focus();
            });
            if (remembered('drydock.aloud')) { this.aloud.setAttribute('aria-pressed', 'true'); }
            new MutationObserver(() => terminal?.look(isDark())).observe(document.documentElement, { attributeFilter: ['class'] });
            // It was open on the page before: it goes along.
            if (remembered('drydock.terminal.open')) { this.show(false); }
        },

        show(takeFocus = true) {
            if (!this.root) { return; }
            this.root.hidden = false;
            document.documentElement.classList.add('with-terminal');
            this.toggle.setAttribute('aria-expanded', 'true');
            remember('drydock.terminal.open', 'yes');
            // Three columns are too many for most screens: the table of contents makes room.
            const contents = document.getElementById('mdbook-sidebar-toggle-anchor');
            if (contents?.checked && innerWidth < 1600) { contents.click(); }
            if (terminal) { if (takeFocus) { terminal.focus(); } } else { this.connect(takeFocus); }
        },

        close() {
            this.root.hidden = true;
            document.documentElement.classList.remove('with-terminal');
            this.toggle.setAttribute('aria-expanded', 'false');
            remember('drydock.terminal.open', null);
            this.toggle.focus();
        },

        async connect(takeFocus = true) {
            this.again.hidden = true;
            this.status.textContent = 'opening …';
            if (!document.querySelector('link[href$="live/file/xterm.css"]')) {
                document.head.append(make('link', { rel: 'stylesheet', href: at('live/file/xterm.css') }));
            }
            const { open } = await import(at('live/file/terminal.mjs'));
            if (terminal || this.opening) { return; }
            const name = remembered('drydock.terminal') || Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
            remember('drydock.terminal', name);
            this.opening = true;
            terminal = await open({
                place: this.place, url: at('live/terminal'), name, dark: isDark(), reader: remembered('drydock.aloud') !== null,
                leave: () => this.hide.focus(), told: (what) => this.told(what),
            });
            this.opening = false;
            window.drydockTerminal = terminal;
            if (takeFocus) { terminal.focus(); }
        },

        told(what) {
            const words = { open: '', over: 'The shell has ended.', taken: 'This terminal went to another page.', lost: 'The server is gone, or was begun anew.' };
            this.status.textContent = words[what] ?? what;
            if (what !== 'open') { this.again.hidden = false; }
        },
    };

    // --- what the server says ------------------------------------------------------------------

    const events = () => {
        const source = new EventSource(at('live/events'));
        source.addEventListener('record', ({ data }) => {
            record = JSON.parse(data);
            if (record.live && !panel.root) { panel.build(); }
            showMarks();
            exercises.forEach((e) => e.show());
        });
        source.addEventListener('verdict', ({ data }) => {
            verdict = JSON.parse(data);
            if (record) { exercises.forEach((e) => e.show()); }
        });
        return source;
    };
    // A browser has few connections to one server; a page that nobody looks at needs none.
    let source = document.hidden ? null : events();
    document.addEventListener('visibilitychange', () => {
        source?.close();
        source = document.hidden ? null : events();
    });

    document.addEventListener('drydock-given', ({ detail }) => {
        post('live/answer', JSON.stringify(detail)).catch(() => { /* the page keeps it all the same */ });
    });
})();
