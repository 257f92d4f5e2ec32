// The plan of `skiff run`: one step after the other, with what the process has become so far. All of it
// comes from the recorded lines that stand in the page.
'use strict';
(() => {
    const plan = document.querySelector('.plan');
    if (!plan || /\/print\.html$/.test(location.pathname)) { return; }
    const steps = Array.from(plan.querySelectorAll('ol > li'));
    const texts = (step, which) => Array.from(step.querySelectorAll(`ul.${which} code`), (c) => c.textContent);

    const make = (tag, text) => {
        const made = document.createElement(tag);
        if (text !== undefined) { made.textContent = text; }
        return made;
    };
    const button = (text) => { const made = make('button', text); made.type = 'button'; return made; };

    // Rows of the table: a name, and what the kernel's lines so far say of it.
    const kinds = ['mnt', 'uts', 'ipc', 'net', 'pid', 'cgroup'];
    const rows = [
        ['control group', (facts) => (facts.gone.some((l) => l.startsWith('cgroup ')) ? facts.new.filter((l) => l.startsWith('cgroup ')).pop().slice(7) : 'the shell’s')],
        ...kinds.map((kind) => [`${kind} namespace`, (facts) => (facts.new.some((l) => l.startsWith(`namespace ${kind} `)) ? 'its own' : 'the host’s')]),
        ['process number', (facts) => (facts.new.some((l) => /^pid .* 1$/.test(l)) ? '1, inside' : 'an ordinary one')],
        ['hostname', (facts) => (facts.new.filter((l) => l.startsWith('hostname ')).pop() || 'hostname the host’s').slice(9)],
        ['network links', (facts) => (facts.new.some((l) => l === 'link eth0') ? 'lo, eth0' : facts.new.some((l) => l.startsWith('namespace net')) ? 'lo' : 'the host’s')],
        ['root', (facts) => (facts.new.some((l) => l.startsWith('mount / ')) ? 'the image’s files' : 'the host’s')],
        ['system calls', (facts) => (facts.new.includes('seccomp filter') ? 'filtered' : 'all')],
        ['capabilities', (facts) => (facts.new.some((l) => l.startsWith('capabilities ')) ? '14 of 41' : 'all')],
    ];

    const bar = make('p');
    bar.className = 'player';
    const back = button('Previous step');
    const next = button('Next step');
    const all = button('Open all');
    const where = make('span');
    where.setAttribute('role', 'status');
    bar.append(back, next, all, where);

    const table = make('table');
    const caption = make('caption', 'The process so far');
    const body = make('tbody');
    for (const [name] of rows) {
        const row = make('tr');
        const head = make('th', name);
        head.scope = 'row';
        row.append(head, make('td'));
        body.append(row);
    }
    table.append(caption, body);
    table.className = 'so-far';
    plan.prepend(bar, table);

    let at = 0;
    const draw = () => {
        const done = steps.slice(0, at);
        const facts = { gone: done.flatMap((s) => texts(s, 'gone')), new: done.flatMap((s) => texts(s, 'new')) };
        rows.forEach(([, read], number) => {
            const row = body.children[number];
            const text = read(facts);
            const changed = row.lastChild.textContent !== '' && row.lastChild.textContent !== text;
            row.classList.toggle('changed', changed);
            row.lastChild.textContent = text;
        });
        steps.forEach((step, number) => step.classList.toggle('now', number === at - 1));
        back.disabled = at === 0;
        next.disabled = at === steps.length;
        where.textContent = at === 0 ? ` ${steps.length} steps` : ` after step ${at} of ${steps.length}: ${steps[at - 1].querySelector('summary').textContent}`;
    };
    const go = (to) => {
        at = to;
        steps.forEach((step, number) => { step.firstElementChild.open = number === at - 1; });
        draw();
        if (at > 0) { steps[at - 1].scrollIntoView({ block: 'nearest' }); }
    };
    next.addEventListener('click', () => go(at + 1));
    back.addEventListener('click', () => go(at - 1));
    all.addEventListener('click', () => {
        const open = all.textContent === 'Open all';
        steps.forEach((step) => { step.firstElementChild.open = open; });
        all.textContent = open ? 'Close all' : 'Open all';
    });
    draw();
})();
