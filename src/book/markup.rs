//! The few pieces of HTML that everything on a page is made of.

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Markdown as HTML; a single paragraph without its mark.
pub fn html(markdown: &str) -> String {
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, pulldown_cmark::Parser::new(markdown));
    let out = out.trim();
    let bare = out.strip_prefix("<p>").and_then(|o| o.strip_suffix("</p>")).filter(|o| !o.contains("<p>"));
    // A blank line would end the element that it is put into.
    bare.unwrap_or(out).replace("\n\n", "\n")
}

/// Markdown that is shown when its title is opened; works without a script.
pub fn folded(title: &str, text: &str) -> String {
    format!("<details>\n<summary>{title}</summary>\n\n{}\n\n</details>\n\n", text.trim())
}
