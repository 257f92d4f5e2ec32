// Quizzes: forms out of the questions that stand in the page. Own code and no library, because all that a
// form needs is in the browser: fieldset, legend, radio, and a live region for what comes of it.
// Kept in the browser's own store under the question's id; where the page is served, what was given is told
// by an event, and live.js passes it on.
'use strict';
(() => {
    const KEPT = 'drydock.quiz';

    const kept = () => {
        try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; }
    };
    const keep = (id, entry) => {
        const all = kept();
        if (entry) { all[id] = entry; } else { delete all[id]; }
        // A browser that keeps nothing still asks.
        try { localStorage.setItem(KEPT, JSON.stringify(all)); } catch { /* private window, full disk */ }
    };

    const make = (tag, attributes = {}, ...inside) => {
        const element = document.createElement(tag);
        for (const [name, value] of Object.entries(attributes)) { element.setAttribute(name, value); }
        element.append(...inside);
        return element;
    };
    const copy = (node) => Array.from(node.cloneNode(true).childNodes);

    const shuffled = (list) => {
        const order = [...list];
        for (let i = order.length - 1; i > 0; i--) {
            const j = Math.floor(Math.random() * (i + 1));
            [order[i], order[j]] = [order[j], order[i]];
        }
        return order;
    };

    // Case, outer space and quotes do not matter; a number may have separators.
    const tidy = (text) => {
        const plain = text.trim().replace(/^["'`]+|["'`]+$/g, '').toLowerCase();
        const digits = plain.replace(/[_, ]/g, '');
        return digits !== '' && Number.isFinite(Number(digits)) ? digits : plain.split(/\s+/).join(' ');
    };

    // Each kind: builds its inputs, reads what was given, shows what was given before, marks it.
    const choose = (question, type) => ({
        lead: type === 'radio' ? 'choose one' : 'choose all that are right',
        build(fields) {
            for (const item of shuffled(question.root.querySelectorAll('.choices > li'))) {
                const input = make('input', { type, name: question.id, value: item.dataset.choice });
                fields.append(make('label', { class: 'choice' }, input, make('span', {}, ...copy(item))));
            }
        },
        given: (fields) => Array.from(fields.querySelectorAll('input:checked'), (i) => i.value),
        show(fields, given) {
            for (const input of fields.querySelectorAll('input')) { input.checked = given.includes(input.value); }
        },
        mark(given) {
            const reasons = Array.from(question.root.querySelectorAll('.reasons > li'));
            const right = reasons.every((r) => (r.dataset.right === 'yes') === given.includes(r.dataset.choice));
            const missed = (r) => type === 'checkbox' && r.dataset.right === 'yes' && !given.includes(r.dataset.choice);
            const told = reasons.filter((r) => given.includes(r.dataset.choice) || missed(r)).map((r) => {
                const choice = question.root.querySelector(`.choices > li[data-choice="${r.dataset.choice}"]`);
                const word = missed(r) ? 'Missed: ' : r.dataset.right === 'yes' ? 'Right: ' : 'Wrong: ';
                return make('li', {}, make('strong', {}, word), ...copy(choice), make('br'), ...copy(r.querySelector('.because')));
            });
            return { right, told };
        },
    });

    const type = (question) => ({
        lead: question.kind === 'number' ? 'type a number' : 'type a word or two',
        build(fields) {
            const input = make('input', { type: 'text', autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false' });
            if (question.kind === 'number') { input.setAttribute('inputmode', 'decimal'); }
            fields.append(make('label', { class: 'typed' }, make('span', {}, 'Your answer'), input));
        },
        given: (fields) => [fields.querySelector('input').value].filter((text) => text.trim() !== ''),
        show(fields, given) { fields.querySelector('input').value = given[0] || ''; },
        mark([given]) {
            const mine = tidy(given);
            const tolerance = Number(question.root.dataset.tolerance);
            const fits = (wanted) => tidy(wanted) === mine
                || question.kind === 'number' && mine !== '' && Math.abs(Number(mine) - Number(wanted)) <= tolerance;
            const right = JSON.parse(question.root.dataset.answers).some(fits);
            const own = Array.from(question.root.querySelectorAll('.reasons > li')).find((r) => tidy(r.dataset.is) === mine);
            const told = [];
            if (!right && own) { told.push(make('li', {}, ...copy(own.querySelector('.because')))); }
            if (right || !own) { told.push(make('li', {}, ...copy(question.root.querySelector('.answer div.because')))); }
            if (!right && !own) { told[0].prepend(make('strong', {}, ...copy(question.root.querySelector('.rightly'))), '. '); }
            return { right, told };
        },
    });

    const order = (question) => {
        const move = (item, by) => {
            const list = item.parentElement;
            const to = by < 0 ? item.previousElementSibling : item.nextElementSibling;
            if (!to) { return; }
            list.insertBefore(by < 0 ? item : to, by < 0 ? to : item);
            edges(list);
            const buttons = Array.from(item.querySelectorAll('button'));
            (buttons[by < 0 ? 0 : 1].disabled ? buttons[by < 0 ? 1 : 0] : buttons[by < 0 ? 0 : 1]).focus();
            const place = Array.from(list.children).indexOf(item) + 1;
            question.say(make('p', {}, `Now number ${place} of ${list.children.length}.`));
        };
        const edges = (list) => Array.from(list.children).forEach((item, at, all) => {
            item.querySelector('.up').disabled = at === 0;
            item.querySelector('.down').disabled = at === all.length - 1;
        });
        return {
            lead: 'put in order, the first on top',
            build(fields) {
                const list = make('ol', { class: 'ordered' });
                for (const source of shuffled(question.root.querySelectorAll('.items > li'))) {
                    const name = source.textContent;
                    const up = make('button', { type: 'button', class: 'up', 'aria-label': `Up: ${name}` }, '↑');
                    const down = make('button', { type: 'button', class: 'down', 'aria-label': `Down: ${name}` }, '↓');
                    const item = make('li', { 'data-choice': source.dataset.choice }, make('span', {}, ...copy(source)), up, down);
                    up.addEventListener('click', () => move(item, -1));
                    down.addEventListener('click', () => move(item, 1));
                    list.append(item);
                }
                edges(list);
                fields.append(list);
            },
            given: (fields) => Array.from(fields.querySelectorAll('.ordered > li'), (i) => i.dataset.choice),
            show(fields, given) {
                const list = fields.querySelector('.ordered');
                for (const choice of given) { list.append(list.querySelector(`[data-choice="${choice}"]`) || ''); }
                edges(list);
            },
            mark(given) {
                const right = given.every((choice, at) => Number(choice) === at);
                const told = [make('li', {}, ...copy(question.root.querySelector('.answer div.because')))];
                if (!right) {
                    const at = given.findIndex((choice, place) => Number(choice) !== place);
                    const item = question.root.querySelector(`.items > li[data-choice="${at}"]`);
                    told.unshift(make('li', {}, `The first that is out of place is number ${at + 1}: here belongs “`, ...copy(item), '”.'));
                }
                return { right, told };
            },
        };
    };

    class Question {
        constructor(root) {
            this.root = root;
            this.id = root.dataset.id;
            this.kind = root.dataset.kind;
            this.objective = root.dataset.objective;
            this.outcome = null;
            const kinds = { one: () => choose(this, 'radio'), several: () => choose(this, 'checkbox'), number: () => type(this), text: () => type(this), order: () => order(this) };
            if (!kinds[this.kind]) { return; }
            this.way = kinds[this.kind]();
            this.number = root.previousElementSibling?.textContent.trim() || 'Question';
            this.build();
            const before = kept()[this.id];
            if (before && before.mark === root.dataset.mark) {
                this.way.show(this.fields, before.given);
                this.answer(before.given);
            }
        }

        build() {
            const ask = this.root.querySelector('.ask');
            ask.id = `ask-${this.id}`;
            this.fields = make('fieldset', { 'aria-describedby': ask.id }, make('legend', {}, `${this.number}: ${this.way.lead}`));
            this.way.build(this.fields);
            this.check = make('button', { type: 'submit', class: 'check' }, 'Check');
            this.again = make('button', { type: 'button', class: 'again', hidden: '' }, 'Try again');
            this.verdict = make('div', { class: 'verdict', role: 'status', 'aria-live': 'polite' });
            this.form = make('form', { novalidate: '' }, this.fields, make('p', { class: 'buttons' }, this.check, this.again), this.verdict);
            this.form.addEventListener('submit', (event) => {
                event.preventDefault();
                if (this.outcome) { return; }
                const given = this.way.given(this.fields);
                if (given.length === 0) { this.say(make('p', {}, 'Nothing is answered yet.')); return; }
                const tries = (kept()[this.id]?.tries || 0) + 1;
                this.answer(given);
                document.dispatchEvent(new CustomEvent('drydock-given', { detail: { question: this.id, given } }));
                keep(this.id, { mark: this.root.dataset.mark, given, tries, right: this.outcome.right });
                this.again.focus();
            });
            this.again.addEventListener('click', () => { this.reset(); this.fields.querySelector('input, button:not(:disabled)').focus(); });
            this.root.classList.add('asked');
            ask.after(this.form);
        }

        say(...nodes) { this.verdict.replaceChildren(...nodes); }

        answer(given) {
            this.outcome = this.way.mark(given);
            this.root.classList.toggle('is-right', this.outcome.right);
            this.root.classList.toggle('is-wrong', !this.outcome.right);
            this.fields.disabled = true;
            this.check.hidden = true;
            this.again.hidden = false;
            this.say(make('p', { class: 'word' }, this.outcome.right ? '✓ Right.' : '✗ Not right.'), make('ul', {}, ...this.outcome.told));
            document.dispatchEvent(new Event('drydock-answered'));
        }

        reset() {
            this.outcome = null;
            this.root.classList.remove('is-right', 'is-wrong');
            // Afresh, in another order.
            this.fields.replaceChildren(this.fields.firstElementChild);
            this.way.build(this.fields);
            this.fields.disabled = false;
            this.check.hidden = false;
            this.again.hidden = true;
            this.say();
            document.dispatchEvent(new Event('drydock-answered'));
        }
    }

    // The chapter's result, objective by objective.
    const result = (place, questions) => {
        const objectives = JSON.parse(place.dataset.objectives);
        const asked = questions.filter((q) => q.way);
        const head = make('h3', { id: 'how-you-did' }, 'How you did');
        const sum = make('p', { role: 'status' });
        const body = make('tbody');
        const table = make('table', {}, make('thead', {}, make('tr', {}, make('th', { scope: 'col' }, 'You can'), make('th', { scope: 'col' }, 'right'))), body);
        const missed = make('button', { type: 'button' }, 'Ask those I missed again');
        const over = make('button', { type: 'button' }, 'Forget all my answers here');
        missed.addEventListener('click', () => {
            const wrong = asked.filter((q) => q.outcome && !q.outcome.right);
            wrong.forEach((q) => q.reset());
            wrong[0]?.fields.querySelector('input, button:not(:disabled)').focus();
        });
        over.addEventListener('click', () => asked.forEach((q) => { keep(q.id, null); q.reset(); }));
        place.append(head, sum, table, make('p', { class: 'buttons' }, missed, over));
        const draw = () => {
            const done = asked.filter((q) => q.outcome);
            const right = done.filter((q) => q.outcome.right);
            sum.textContent = `${done.length} of ${asked.length} answered, ${right.length} right.`;
            missed.disabled = done.length === right.length;
            over.disabled = done.length === 0;
            body.replaceChildren(...objectives.filter(([id]) => asked.some((q) => q.objective === id)).map(([id, text]) => {
                const of = asked.filter((q) => q.objective === id);
                const good = of.filter((q) => q.outcome?.right).length;
                return make('tr', {}, make('td', {}, text), make('td', {}, `${good} of ${of.length}`));
            }));
        };
        document.addEventListener('drydock-answered', draw);
        draw();
    };

    // The page that is printed has every chapter in it: there the questions stay as on paper.
    if (/\/print\.html$/.test(location.pathname)) { return; }
    const questions = Array.from(document.querySelectorAll('.question'), (root) => new Question(root));
    const place = document.querySelector('.result');
    if (place && questions.length > 0) { result(place, questions); }
})();
