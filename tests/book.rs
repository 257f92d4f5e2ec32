//! The book: it builds from what the binary carries, everything is in it, and it asks nobody else.

#[macro_use]
mod support;

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
        let index = book::build(course(), &to, book::Reader::anybody()).expect("the book builds");
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

/// What the book's own pages quote: (page, file, anchor).
fn quotes() -> Vec<(String, String, String)> {
    let quotes = book::quote::quotes(&support::source()).expect("every quote is there");
    quotes.into_iter().map(|q| (q.page, q.file, q.anchor)).collect()
}

#[test]
fn the_prose_round_each_quote_was_read_again_since_its_code_changed() {
    let unread = book::quote::unread(&support::source()).expect("every quote is there");
    assert_eq!(unread, Vec::<String>::new(), "read these places of book/src again, mend the words if they lie, then: drydock book reread");
}

#[test]
fn a_quote_of_what_is_not_there_is_told_with_page_and_line() {
    let room = tempfile::tempdir().expect("a temporary folder");
    for folder in ["book/src", "src"] {
        std::fs::create_dir_all(room.path().join(folder)).expect("a folder");
    }
    std::fs::write(room.path().join("src/a.rs"), "// ANCHOR: one\nfn a() {}\n// ANCHOR_END: one\n").expect("written");
    std::fs::write(room.path().join("book/src/p.md"), "# P\n\n{{#include ../../src/a.rs:one}}\n").expect("written");
    assert_eq!(book::quote::reread(room.path()).expect("it can be read").len(), 1);
    assert_eq!(book::quote::unread(room.path()).expect("it can be read"), Vec::<String>::new());
    std::fs::write(room.path().join("src/a.rs"), "// ANCHOR: one\nfn b() {}\n// ANCHOR_END: one\n").expect("written");
    assert_eq!(book::quote::unread(room.path()).expect("it can be read").len(), 2, "the old hash goes, the new one is not accepted");
    std::fs::write(room.path().join("src/a.rs"), "fn b() {}\n").expect("written");
    let error = book::quote::quotes(room.path()).expect_err("the anchor is gone");
    assert_eq!(error.to_string(), "book/src/p.md:3: src/a.rs has no anchor one, or it does not end");
}

#[test]
fn the_course_spells_its_terms_as_the_glossary_does() {
    let text = std::fs::read_to_string(support::source().join("book/glossary.yaml")).expect("the glossary");
    let terms = book::terms::Terms::parse(&text).expect("it is a glossary");
    let course = course();
    let lessons: Vec<(String, drydock::course::Lesson)> = course.folders.iter().map(|f| (f.clone(), course.lesson(f).expect("a lesson"))).collect();
    let mut wrong = Vec::new();
    for term in &terms.0 {
        let mut used = false;
        for (folder, lesson) in &lessons {
            let texts: Vec<&str> = std::iter::once(lesson.opening.as_str()).chain(lesson.parts.iter().map(|p| p.text.as_str())).collect();
            used |= texts.iter().any(|t| term.find(t).is_some());
            for spelling in term.not.iter().filter(|s| texts.iter().any(|t| t.contains(&format!(" {s} ")))) {
                wrong.push(format!("{folder}: {spelling}, which the glossary spells {}", term.term));
            }
        }
        if !used {
            wrong.push(format!("no lesson uses {}", term.term));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn every_picture_has_its_words() {
    let mut without = Vec::new();
    for (name, page) in pages().iter().filter(|(n, _)| n.ends_with(".html")) {
        let pictures = page.split("<img ").skip(1).filter_map(|i| i.split('>').next()).filter(|i| attributes(&format!(" {i}"), "alt").iter().all(|a| a.is_empty()));
        without.extend(pictures.map(|i| format!("{name}: {i}")));
        let drawings = page.split("<svg class=\"drawing\"").skip(1).filter_map(|d| d.split('>').next());
        without.extend(drawings.filter(|d| attributes(d, "aria-label").first().is_none_or(|l| l.len() < 20)).map(|d| format!("{name}: {d}")));
    }
    assert_eq!(without, Vec::<String>::new());
    assert!(pages()["namespaces.html"].contains("<svg class=\"drawing\""));
}

#[test]
fn the_recorded_plan_has_the_steps_of_the_plan_that_skiff_prints_today() {
    require!(Root);
    let text = std::fs::read_to_string(support::source().join("book").join(book::plan::FILE)).expect("the recording");
    let recorded = book::plan::steps(&text).expect("it is one");
    let room = tempfile::tempdir().expect("a temporary folder");
    let output = std::process::Command::new(support::binary("skiff")).arg("--root").arg(room.path()).args(["run", "--dry-run", "base", "true"]).output().expect("skiff runs");
    let pruned = std::process::Command::new(support::binary("skiff")).arg("--root").arg(room.path()).args(["system", "prune", "-f"]).output().expect("skiff runs");
    assert!(output.status.success() && pruned.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("it is text");
    let lines: Vec<&str> = printed.lines().collect();
    let today: Vec<(String, String)> = lines.chunks(2).map(|pair| {
        let name = pair[0].split_whitespace().nth(1).unwrap_or_default();
        (name.to_owned(), pair[1].trim().to_owned())
    }).collect();
    let recorded: Vec<(String, String)> = recorded.into_iter().map(|s| (s.name, s.calls)).collect();
    assert_eq!(recorded, today, "record book/recorded/skiff-run.txt again, in the lab: yes '' | skiff run --rm --step base true");
}

#[test]
fn the_recorded_overlay_is_what_an_overlay_does_today() {
    require!(Root);
    let room = tempfile::tempdir().expect("a temporary folder");
    let recorded = support::source().join("book/recorded");
    let output = std::process::Command::new("unshare").arg("--mount").arg("sh").arg(recorded.join("overlay.sh")).current_dir(room.path()).output().expect("unshare runs");
    let text = std::fs::read_to_string(recorded.join("overlay.txt")).expect("the recording");
    assert_eq!((String::from_utf8_lossy(&output.stdout).as_ref(), String::from_utf8_lossy(&output.stderr).as_ref()), (text.as_str(), ""));
    assert_eq!(book::overlay::stages(&text).expect("it is one").len(), 5);
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

#[test]
fn each_claim_of_the_page_on_security_names_a_test_that_there_is() {
    let page = std::fs::read_to_string("book/src/defences.md").expect("the page is there");
    let tests: String = std::fs::read_dir("tests").expect("the folder is there").flatten().filter_map(|e| std::fs::read_to_string(e.path()).ok()).collect();
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| ") && !l.starts_with("| attack")).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in rows {
        let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let names: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || last.trim() == "the same", "no test is named: {row}");
        names.iter().for_each(|name| assert!(tests.contains(&format!("fn {name}()")), "there is no test {name}"));
    }
}
