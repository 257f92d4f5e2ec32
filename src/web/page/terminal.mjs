// A real terminal in a page: xterm.js draws, the WebSocket carries bytes (see src/web/terminal.rs).
import { Terminal } from './xterm.mjs';
import { FitAddon } from './addon-fit.mjs';

// A page may send no more at once; a longer paste goes in pieces.
const PIECE = 64 * 1024;

// Colours with at least 4.5 : 1 on their ground; the program's own are lifted to that.
const LIGHT = { background: '#ffffff', foreground: '#1d1f21', cursor: '#1d1f21', cursorAccent: '#ffffff', selectionBackground: '#b4d5fe' };
const DARK = { background: '#14171f', foreground: '#d8dde6', cursor: '#d8dde6', cursorAccent: '#14171f', selectionBackground: '#3b5377' };

// Opens a terminal in `place`. `told` hears 'open', 'over', 'taken', 'lost' and a problem's text. Gives what
// the page may do with it.
export const open = async ({ place, url, name, dark, reader, leave, told }) => {
    // Cells are measured when it opens: the font must be there by then, and by its own name.
    const font = getComputedStyle(document.documentElement).getPropertyValue('--mono-font').trim() || 'monospace';
    await document.fonts.load(`13px ${font}`).catch(() => {});
    const screen = new Terminal({
        fontFamily: font, fontSize: 13, cursorBlink: false, scrollback: 5000, minimumContrastRatio: 4.5,
        screenReaderMode: reader, theme: dark ? DARK : LIGHT, allowProposedApi: false,
    });
    const fit = new FitAddon();
    screen.loadAddon(fit);
    screen.open(place);
    fit.fit();

    const bytes = new TextEncoder();
    const address = new URL(url, location.href);
    address.protocol = 'ws:';
    address.search = new URLSearchParams({ name, rows: screen.rows, columns: screen.cols });
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    let ended = false;
    const say = (words) => { if (socket.readyState === WebSocket.OPEN) { socket.send(JSON.stringify(words)); } };
    const type = (data) => {
        for (let at = 0; at < data.length && socket.readyState === WebSocket.OPEN; at += PIECE) { socket.send(data.subarray(at, at + PIECE)); }
    };
    socket.addEventListener('open', () => told('open'));
    socket.addEventListener('message', ({ data }) => {
        if (typeof data !== 'string') {
            const drawn = new Uint8Array(data);
            screen.write(drawn, () => say({ shown: drawn.length }));
            return;
        }
        const words = JSON.parse(data);
        ended = true;
        told(words.over ? 'over' : words.taken ? 'taken' : words.problem);
    });
    socket.addEventListener('close', () => { if (!ended) { ended = true; told('lost'); } });

    screen.onData((text) => type(bytes.encode(text)));
    // What is no text: reports of some mouse modes.
    screen.onBinary((text) => type(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    screen.onResize(({ rows, cols }) => say({ size: [rows, cols] }));
    screen.attachCustomKeyEventHandler((event) => {
        if (event.type !== 'keydown') { return true; }
        // The way out for those who have no mouse: Tab belongs to the shell.
        if (event.key === 'F6' && event.shiftKey) { event.preventDefault(); leave(); return false; }
        const key = event.key.toLowerCase();
        const clip = event.ctrlKey && !event.altKey && (key === 'v' || key === 'c' && (event.shiftKey || screen.hasSelection()));
        if (clip && key === 'c') { event.preventDefault(); navigator.clipboard?.writeText(screen.getSelection()); screen.clearSelection(); }
        return !clip;
    });
    // Keys in here are the shell's: the page's own shortcuts hear nothing of them.
    place.addEventListener('keydown', (event) => event.stopPropagation());
    const sized = new ResizeObserver(() => { if (place.offsetHeight > 0) { fit.fit(); } });
    sized.observe(place);

    return {
        screen,
        focus: () => screen.focus(),
        look: (isDark) => { screen.options.theme = isDark ? DARK : LIGHT; },
        read: (aloud) => { screen.options.screenReaderMode = aloud; },
        // Text of what is on the screen, line by line.
        text: () => Array.from({ length: screen.rows }, (_, y) => screen.buffer.active.getLine(screen.buffer.active.viewportY + y)?.translateToString(true) ?? ''),
        end() { ended = true; sized.disconnect(); socket.close(); screen.dispose(); },
    };
};
