//! Drawings made of characters, as SVG: strokes where characters draw, text where they are words.
//!
//! Each character stands in a cell of a fixed size. A dash, a bar, a corner or an arrowhead counts as a
//! stroke only if what stands beside it continues it, so that `--pid`, `drydock-deck` and `/proc` stay
//! words. Colours are the page's own (`currentColor`), so that every theme is legible, and the words
//! are text: searched, copied, read aloud. `svgbob` does more (circles, shading, curves); it was tried
//! and left: it takes hyphens and underscores of names for strokes, and brings 110 crates, a geometry
//! library among them, for lines on a grid.

use super::markup::escaped;
use std::fmt::Write;

/// Width and height of a cell, in the drawing's own units.
const CELL: (usize, usize) = (8, 17);

/// The characters of a drawing by row and column.
struct Grid(Vec<Vec<char>>);

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Empty, or part of a word.
    Word,
    /// Strokes from the middle: up, right, down, left.
    Strokes([bool; 4]),
    /// The tip of an arrow: its direction as an index into up, right, down, left.
    Tip(usize),
    /// A double line.
    Double,
    /// A bar of a bar chart.
    Full,
    /// A diagonal: true for one that falls from left to right.
    Diagonal(bool),
}

impl Grid {
    fn new(drawing: &str) -> Self {
        Self(drawing.lines().map(|l| l.trim_end().chars().collect()).collect())
    }

    /// The character beside a cell; a space outside.
    fn at(&self, row: usize, column: usize, down: isize, right: isize) -> char {
        let row = row.checked_add_signed(down).and_then(|r| self.0.get(r));
        let found = row.zip(column.checked_add_signed(right)).and_then(|(r, c)| r.get(c));
        found.copied().unwrap_or(' ')
    }

    /// A run of dashes is a line if it is long, or begins or ends at something drawn and not in a word.
    fn is_line(&self, row: usize, column: usize) -> bool {
        if self.at(row, column, 0, 0) != '-' {
            return false;
        }
        let cells = &self.0[row];
        let from = (0..=column).rev().take_while(|c| cells[*c] == '-').last().unwrap_or(column);
        let to = (column..cells.len()).take_while(|c| cells[*c] == '-').last().unwrap_or(column);
        let (before, after) = (self.at(row, from, 0, -1), self.at(row, to, 0, 1));
        let joins = |c: char| "+|<>.'`".contains(c);
        let word = |c: char| c.is_alphanumeric() && c != 'o' && c != 'v';
        to - from >= 2 || joins(before) && !word(after) || joins(after) && !word(before)
    }

    fn cell(&self, row: usize, column: usize) -> Cell {
        let here = self.at(row, column, 0, 0);
        let beside = |down, right| self.at(row, column, down, right);
        let line = |right: isize| column.checked_add_signed(right).is_some_and(|c| self.is_line(row, c));
        let stands = |c: char| matches!(c, '|' | '+');
        let (left, right) = (line(-1) || beside(0, -1) == '+', line(1) || beside(0, 1) == '+');
        let up = stands(beside(-1, 0)) || matches!(beside(-1, 0), '.' | '^') && here == '|';
        let down = stands(beside(1, 0)) || matches!(beside(1, 0), '\'' | '`') && here == '|';
        let alone = !beside(0, -1).is_alphanumeric() && !beside(0, 1).is_alphanumeric();
        match here {
            '-' if self.is_line(row, column) => Cell::Strokes([false, true, false, true]),
            '|' => Cell::Strokes([true, false, true, false]),
            '+' if [up, line(1), down, line(-1)].contains(&true) => Cell::Strokes([up, right, down, left]),
            '.' if down && (line(-1) || line(1)) => Cell::Strokes([false, line(1), true, line(-1)]),
            '\'' | '`' if (line(-1) || line(1)) && (up || here == '`') => Cell::Strokes([true, line(1), false, line(-1)]),
            '>' if line(-1) => Cell::Tip(1),
            '<' if line(1) => Cell::Tip(3),
            '^' if alone && stands(beside(1, 0)) => Cell::Tip(0),
            'v' if alone && stands(beside(-1, 0)) => Cell::Tip(2),
            '=' if beside(0, -1) == '=' || beside(0, 1) == '=' => Cell::Double,
            '#' if alone => Cell::Full,
            '\\' if matches!(beside(1, 1), '\\' | '+') || beside(-1, -1) == '\\' => Cell::Diagonal(true),
            '/' if matches!(beside(1, -1), '/' | '+') || beside(-1, 1) == '/' => Cell::Diagonal(false),
            _ => Cell::Word,
        }
    }
}

/// The drawing as an SVG element, with `alt` as what a screen reader says instead.
pub fn svg(alt: &str, drawing: &str) -> String {
    let grid = Grid::new(drawing);
    let columns = grid.0.iter().map(Vec::len).max().unwrap_or(0);
    let (width, height) = (columns * CELL.0 + CELL.0, grid.0.len() * CELL.1);
    let mut strokes = String::new();
    let mut filled = String::new();
    let mut words = String::new();
    for row in 0..grid.0.len() {
        let cells: Vec<Cell> = (0..grid.0[row].len()).map(|column| grid.cell(row, column)).collect();
        for (column, cell) in cells.iter().enumerate() {
            stroke(*cell, row, column, &mut strokes, &mut filled);
        }
        text(&grid.0[row], &cells, row, &mut words);
    }
    format!(
        "<svg class=\"drawing\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" xmlns=\"http://www.w3.org/2000/svg\">\
         <path class=\"strokes\" d=\"{}\"/><path class=\"filled\" d=\"{}\"/>{words}</svg>",
        escaped(alt),
        strokes.trim_end(),
        filled.trim_end()
    )
}

/// Adds what a cell draws.
fn stroke(cell: Cell, row: usize, column: usize, strokes: &mut String, filled: &mut String) {
    let (left, top) = (column * CELL.0 + CELL.0 / 2, row * CELL.1);
    let (right, bottom) = (left + CELL.0, top + CELL.1);
    let (x, y) = (left + CELL.0 / 2, top + CELL.1 / 2);
    let ends = [(x, top), (right, y), (x, bottom), (left, y)];
    match cell {
        Cell::Word => {}
        Cell::Strokes(which) => {
            for (to, _) in ends.iter().zip(which).filter(|(_, drawn)| *drawn) {
                let _ = write!(strokes, "M{x} {y}L{} {} ", to.0, to.1);
            }
        }
        Cell::Double => {
            let _ = write!(strokes, "M{left} {}H{right} M{left} {}H{right} ", y - 2, y + 2);
        }
        Cell::Diagonal(falls) => {
            let (from, to) = if falls { (top, bottom) } else { (bottom, top) };
            let _ = write!(strokes, "M{left} {from}L{right} {to} ");
        }
        Cell::Full => {
            let _ = write!(filled, "M{left} {}H{right}V{}H{left}Z ", top + 3, bottom - 3);
        }
        Cell::Tip(direction) => {
            let points = match direction {
                0 => [(x, top), (x + 4, top + 9), (x - 4, top + 9)],
                1 => [(right, y), (left, y - 4), (left, y + 4)],
                2 => [(x, bottom), (x - 4, bottom - 9), (x + 4, bottom - 9)],
                _ => [(left, y), (right, y - 4), (right, y + 4)],
            };
            // The line goes on under the tip, from where it comes.
            let from = ends[(direction + 2) % 4];
            let _ = write!(strokes, "M{} {}L{x} {y} ", from.0, from.1);
            let [a, b, c] = points;
            let _ = write!(filled, "M{} {}L{} {}L{} {}Z ", a.0, a.1, b.0, b.1, c.0, c.1);
        }
    }
}

/// Adds the words of a row, each piece at its column and as wide as its cells, whatever the font.
fn text(row: &[char], cells: &[Cell], number: usize, words: &mut String) {
    let mut column = 0;
    let is_word = |c: usize| cells.get(c) == Some(&Cell::Word) && row[c] != ' ';
    while column < row.len() {
        if !is_word(column) {
            column += 1;
            continue;
        }
        let mut end = column + 1;
        // One space belongs to a sentence, two part columns.
        while is_word(end) || row.get(end) == Some(&' ') && is_word(end + 1) {
            end += 1;
        }
        let piece: String = row[column..end].iter().collect();
        let (x, y) = (column * CELL.0 + CELL.0 / 2, number * CELL.1 + 13);
        let _ = write!(words, "<text x=\"{x}\" y=\"{y}\" textLength=\"{}\">{}</text>", (end - column) * CELL.0, escaped(&piece));
        column = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(drawing: &str, row: usize) -> String {
        let grid = Grid::new(drawing);
        (0..grid.0[row].len()).map(|c| match grid.cell(row, c) {
            Cell::Word => grid.0[row][c],
            Cell::Strokes(_) => '*',
            Cell::Tip(_) => '!',
            Cell::Double => '2',
            Cell::Full => '@',
            Cell::Diagonal(_) => '%',
        }).collect()
    }

    #[test]
    fn a_hyphen_in_a_word_and_an_option_stay_words() {
        assert_eq!(cells("unshare --uts drydock-deck /proc -l", 0), "unshare --uts drydock-deck /proc -l");
    }

    #[test]
    fn a_box_with_an_arrow_is_strokes_and_a_tip() {
        let drawing = "+----+\n| a  |--> b\n+----+";
        assert_eq!(cells(drawing, 0), "******");
        assert_eq!(cells(drawing, 1), "* a  ***! b");
    }

    #[test]
    fn a_word_under_a_line_is_no_arrowhead() {
        assert_eq!(cells("|\nvolume\n", 1), "volume");
        assert_eq!(cells("|\nv\n", 1), "!");
    }

    #[test]
    fn words_are_text_and_markup_in_them_is_escaped() {
        let svg = svg("One \"points\" to two.", "<1> & 2  three");
        assert!(svg.contains("aria-label=\"One &quot;points&quot; to two.\""), "{svg}");
        assert!(svg.contains("textLength=\"56\">&lt;1&gt; &amp; 2</text><text x=\"76\" y=\"13\" textLength=\"40\">three</text>"), "{svg}");
    }
}
