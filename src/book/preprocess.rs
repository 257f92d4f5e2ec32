//! The preprocessor: the course's chapters are put in where the summary says "The course", each made
//! of its lesson; the other pages ask for what is collected from all of them.
//!
//! | a line of its own | becomes |
//! |---|---|
//! | `{{#course}}` | the list of chapters |
//! | `{{#lesson FOLDER}}` | one lesson |
//! | `{{#glossary}}`, `{{#sheets}}`, `{{#reading}}` | terms, summary sheets, sources |
//! | `{{#reader}}` | whose machine and values the pages speak of |
//! | `{{#plan}}`, `{{#overlay}}`, `{{#beside}}` | the figures: the steps of `skiff run`, a file in layers, a VM beside a container |

use super::terms::{self, Terms};
use super::{BookError, Reader, beside, driver, lesson, overlay, plan, sheet};
use crate::course::{Course, slug};
use mdbook_preprocessor::book::{Book, BookItem, Chapter};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext, errors};
use std::io::{Read, Write};

/// The part of the summary that the chapters belong to.
const PART: &str = "The course";

/// Puts the course into the book.
pub struct Drydock {
    course: Course,
    terms: Terms,
    reader: Reader,
}

impl Drydock {
    /// For this course and reader.
    pub fn of(course: Course, reader: Reader) -> Result<Self, BookError> {
        let terms = Terms::parse(driver::carried(terms::FILE)?)?;
        Ok(Self { course, terms, reader })
    }

    /// Every chapter of the course, in its order, behind the title of their part.
    fn put_in(&self, book: &mut Book) -> Result<(), BookError> {
        let part = book.items.iter().position(|item| matches!(item, BookItem::PartTitle(title) if title == PART));
        let at = part.ok_or_else(|| BookError::Mdbook(format!("book/src/SUMMARY.md has no part \"# {PART}\" for the chapters")))? + 1;
        for (number, folder) in self.course.folders.iter().enumerate() {
            let title = self.course.lesson(folder)?.front.title;
            let content = lesson::page(&self.course, &self.terms, &self.reader, folder)?;
            let page = format!("{}.md", slug(folder));
            if book.chapters().any(|c| c.path.as_deref() == Some(page.as_ref())) {
                return Err(BookError::Mdbook(format!("book/src/SUMMARY.md lists {page}: chapters come by themselves, from lessons/course.yaml")));
            }
            let chapter = Chapter::new(&title, content, page, Vec::new());
            book.items.insert(at + number, BookItem::Chapter(chapter));
        }
        Ok(())
    }

    /// A page with its directives carried out.
    fn page(&self, text: &str) -> Result<String, BookError> {
        let mut page = String::with_capacity(text.len());
        for line in text.lines() {
            let directive = line.trim().strip_prefix("{{#").and_then(|d| d.strip_suffix("}}"));
            match directive.map(|d| d.split_whitespace().collect::<Vec<_>>()).as_deref() {
                Some(["lesson", folder]) => page.push_str(&lesson::page(&self.course, &self.terms, &self.reader, folder)?),
                Some(["course"]) => page.push_str(&self.contents()?),
                Some(["glossary"]) => page.push_str(&self.terms.page(&self.course)?),
                Some(["sheets"]) => page.push_str(&sheet::all(&self.course, &self.terms, &self.reader)?),
                Some(["reading"]) => page.push_str(&sheet::reading(&self.course)?),
                Some(["plan"]) => page.push_str(&plan::figure(driver::carried(plan::FILE)?)?),
                Some(["reader"]) => page.push_str(self.reader.in_words()),
                Some(["overlay"]) => page.push_str(&overlay::figure(driver::carried(overlay::FILE)?)?),
                Some(["beside"]) => page.push_str(&beside::figure(driver::carried(beside::FILE)?, self.reader.measured.as_deref())?),
                _ => {
                    page.push_str(line);
                    page.push('\n');
                }
            }
        }
        Ok(page)
    }

    /// The chapters, with their minutes.
    fn contents(&self) -> Result<String, BookError> {
        let mut list = String::from("## The chapters\n\n");
        for folder in &self.course.folders {
            let chapter = self.course.chapter(folder)?;
            let front = &chapter.lesson.front;
            list.push_str(&format!(
                "- [{}]({}.md): {} exercises, {} questions, about {} minutes\n",
                front.title,
                chapter.slug(),
                chapter.exercises.len(),
                chapter.quiz.len(),
                front.minutes
            ));
        }
        Ok(list)
    }
}

impl Preprocessor for Drydock {
    fn name(&self) -> &str {
        "drydock"
    }

    fn run(&self, _: &PreprocessorContext, mut book: Book) -> errors::Result<Book> {
        let mut failed = None;
        book.for_each_mut(|item| {
            if let BookItem::Chapter(chapter) = item
                && chapter.content.contains("{{#")
            {
                match self.page(&chapter.content) {
                    Ok(content) => chapter.content = content,
                    Err(error) => failed = Some(error),
                }
            }
        });
        match failed {
            Some(error) => return Err(error.into()),
            None => self.put_in(&mut book)?,
        }
        Ok(book)
    }
}

/// What mdBook runs: reads its context and book as JSON, writes the book back.
pub fn preprocess(course: Course, input: impl Read, output: impl Write) -> Result<(), BookError> {
    let told = |e: errors::Error| BookError::Mdbook(format!("{e:#}"));
    let (context, book) = mdbook_preprocessor::parse_input(input).map_err(told)?;
    let book = Drydock::of(course, Reader::anybody())?.run(&context, book).map_err(told)?;
    serde_json::to_writer(output, &book).map_err(|e| BookError::Mdbook(e.to_string()))
}
