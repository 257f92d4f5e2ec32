//! The book: it builds from what the binary carries, everything is in it, and it asks nobody else.

use drydock::book;
use drydock::course::{Content, Course};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn course() -> Course {
    Course::load(Content::Embedded).expect("the embedded course can be read")
}

/// The pages of the book, by file name; built once.
fn pages() -> &'static BTreeMap<String, String> {
    static PAGES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    PAGES.get_or_init(|| {
        let room = tempfile::tempdir().expect("a temporary folder");
        let to = room.path().join("html");
        let index = book::build(course(), &to).expect("the book builds");
        assert_eq!(index, to.join("index.html"));
        files(&to).into_iter().filter(|f| f.extension().is_some_and(|e| e == "html" || e == "css")).map(|f| {
            let name = f.strip_prefix(&to).expect("it is below").display().to_string();
            (name, std::fs::read_to_string(&f).expect("it is text"))
        }).collect()
    })
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("it can be read").flatten();
    entries.flat_map(|e| if e.path().is_dir() { files(&e.path()) } else { vec![e.path()] }).collect()
}

/// Values of an attribute in a page.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let open = format!(" {name}=\"");
    page.split(open.as_str()).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Text as it stands in HTML, without what Markdown or an entity may have changed.
fn words(text: &str) -> String {
    let plain = text.replace("&quot;", "\"").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'");
    plain.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[test]
fn every_chapter_is_there_with_all_its_parts() {
    for folder in &course().folders {
        let chapter = course().chapter(folder).expect("a chapter");
        let page = pages().get(&format!("{}.html", chapter.slug())).unwrap_or_else(|| panic!("no page for {folder}"));
        // Ours begin with a space; those of `inspect -f` do not, and are meant to be read.
        let left = ["{{ ", "{{#", "{%"].into_iter().find(|open| page.contains(open));
        assert_eq!(left, None, "a template is left in {folder}");
        let text = words(page);
        assert!(text.contains(&words(&chapter.lesson.front.title)));
        for part in chapter.lesson.steps() {
            assert!(text.contains(&words(&part.title)), "{folder} lacks the step {}", part.title);
        }
        for slug in &chapter.exercises {
            assert!(page.contains(&format!("id=\"exercise-{slug}\"")), "{folder} lacks the exercise {slug}");
        }
        assert_eq!(page.matches("<summary>Answer</summary>").count(), chapter.quiz.len(), "questions of {folder}");
        assert_eq!(page.matches("<summary>").count(), page.matches("</details>").count());
        assert!(!page.contains("```"), "a fence is left in {folder}");
    }
}

#[test]
fn every_internal_link_leads_somewhere() {
    let mut broken = Vec::new();
    for (name, page) in pages().iter().filter(|(n, _)| n.ends_with(".html")) {
        let folder = Path::new(name).parent().expect("a file has a folder");
        for link in attributes(page, "href").into_iter().filter(|l| !l.contains("://") && !l.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if !path.ends_with(".html") && !path.is_empty() {
                continue;
            }
            let target = if path.is_empty() { name.clone() } else { folder.join(path).display().to_string() };
            match pages().get(&target) {
                None => broken.push(format!("{name}: {link}")),
                Some(there) if !anchor.is_empty() && !there.contains(&format!("id=\"{anchor}\"")) => broken.push(format!("{name}: {link}")),
                Some(_) => {}
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
}

#[test]
fn no_page_asks_another_host_for_anything() {
    let mut asked = Vec::new();
    for (name, page) in pages() {
        let loaded = attributes(page, "src").into_iter().map(str::to_owned);
        let linked = page.split("<link ").skip(1).filter_map(|l| l.split('>').next()).flat_map(|l| attributes(l, "href")).map(str::to_owned);
        let styled = page.split("url(").skip(1).filter_map(|u| u.split(')').next()).map(|u| u.trim_matches(['"', '\'']).to_owned());
        asked.extend(loaded.chain(linked).chain(styled).filter(|u| !u.starts_with("data:") && (u.contains("://") || u.starts_with("//"))).map(|u| format!("{name}: {u}")));
        assert!(!page.contains("@import"), "{name}");
    }
    assert_eq!(asked, Vec::<String>::new());
}

#[test]
fn what_mdbook_gives_to_a_command_comes_back_with_the_lessons_in_it() {
    let mut input = serde_json::json!([
        { "root": "/", "config": {}, "renderer": "html", "mdbook_version": mdbook_preprocessor::MDBOOK_VERSION },
        { "items": [{ "PartTitle": "The course" }, { "Chapter": {
            "name": "One", "content": "{{#lesson 03-namespaces}}\n", "number": null, "sub_items": [],
            "path": "one.md", "source_path": "one.md", "parent_names": []
        } }] }
    ]);
    let mut output = Vec::new();
    book::preprocess(course(), input.to_string().as_bytes(), &mut output).expect("it is mdBook's form");
    let text = String::from_utf8(output).expect("JSON is text");
    let back: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let order: Vec<String> = back["items"].as_array().expect("a list").iter().filter_map(|i| i["Chapter"]["path"].as_str()).map(str::to_owned).collect();
    let expected: Vec<String> = course().folders.iter().map(|f| format!("{}.md", drydock::course::slug(f))).chain(["one.md".to_owned()]).collect();
    assert_eq!(order, expected, "the chapters are those of course.yaml, in its order");
    assert!(text.contains("# Namespaces") && text.contains("exercise-hostname") && !text.contains("{{#lesson"));
    input[1]["items"][1]["Chapter"]["content"] = "{{#lesson 99-nowhere}}\n".into();
    let error = book::preprocess(course(), input.to_string().as_bytes(), Vec::new()).expect_err("there is no such chapter");
    assert_eq!(error.to_string(), "cannot build the book: there is no chapter \"99-nowhere\"");
}

/// `{{#include ../../FILE:ANCHOR}}` in the book's own pages: (page, file, anchor).
fn quotes() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for page in files(&root.join("book/src")) {
        let text = std::fs::read_to_string(&page).expect("it is text");
        for quote in text.split("{{#include ").skip(1).filter_map(|q| q.split("}}").next()) {
            let (file, anchor) = quote.rsplit_once(':').unwrap_or((quote, ""));
            let file = file.trim_start_matches("../").to_owned();
            found.push((page.display().to_string(), file, anchor.to_owned()));
        }
    }
    found
}

#[test]
fn the_book_quotes_source_by_anchors_that_are_paired_and_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(quotes().len() >= 5, "the page on the engine quotes it");
    for (page, file, anchor) in quotes() {
        assert!(!anchor.is_empty(), "{page} quotes the whole of {file}");
        let text = std::fs::read_to_string(root.join(&file)).unwrap_or_else(|e| panic!("{page} quotes {file}: {e}"));
        let at = |mark: &str| -> Vec<usize> {
            let wanted = format!("// {mark}: {anchor}");
            text.lines().enumerate().filter(|(_, l)| l.trim() == wanted).map(|(n, _)| n).collect()
        };
        let (begin, end) = (at("ANCHOR"), at("ANCHOR_END"));
        assert!(begin.len() == 1 && end.len() == 1, "{file}: the anchor {anchor} begins {} times and ends {} times", begin.len(), end.len());
        assert!(begin[0] < end[0], "{file}: {anchor} ends before it begins");
        assert!(end[0] - begin[0] <= 60, "{file}: {anchor} is {} lines long", end[0] - begin[0]);
    }
}

#[test]
fn every_anchor_in_the_engine_is_quoted() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let quoted: BTreeSet<(String, String)> = quotes().into_iter().map(|(_, file, anchor)| (file, anchor)).collect();
    for path in files(&root.join("src")) {
        let file = path.strip_prefix(root).expect("it is below").display().to_string();
        let text = std::fs::read_to_string(&path).expect("source is text");
        for anchor in text.lines().filter_map(|l| l.trim().strip_prefix("// ANCHOR: ")) {
            assert!(quoted.contains(&(file.clone(), anchor.to_owned())), "nothing quotes {anchor} of {file}");
        }
    }
}
