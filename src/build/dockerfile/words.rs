//! Cutting an instruction into words, and where each stands.

/// A word and where it begins in the joined line.
#[derive(Debug, Clone)]
pub struct Word {
    /// As written: quotes and escapes still in it.
    pub text: String,
    /// Bytes from the beginning of the joined line.
    pub at: usize,
}

impl PartialEq for Word {
    /// The same letters, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Word {}

/// What Docker cuts words at.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r' | '\n')
}

/// Words between white space, whatever quotes say; `offset` is where `text` begins.
pub fn plain(text: &str, offset: usize) -> Vec<Word> {
    let pieces = text.split(is_space).filter(|w| !w.is_empty());
    let start = text.as_ptr() as usize;
    pieces.map(|w| Word { text: w.to_owned(), at: offset + (w.as_ptr() as usize - start) }).collect()
}

/// Words between white space that no quotes hold together and no escape protects.
pub fn quoted(text: &str, offset: usize, escape: char) -> Vec<Word> {
    let mut words = Vec::new();
    let mut begin: Option<usize> = None;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        let outside = quote.is_none() && !escaped;
        if outside && is_space(c) {
            if let Some(b) = begin.take() {
                words.push(Word { text: text[b..i].to_owned(), at: offset + b });
            }
            continue;
        }
        begin.get_or_insert(i);
        if escaped {
            escaped = false;
        } else if c == escape && quote != Some('\'') {
            escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '"' || c == '\'') {
            quote = Some(c);
        }
    }
    if let Some(b) = begin {
        words.push(Word { text: text[b..].to_owned(), at: offset + b });
    }
    words
}
