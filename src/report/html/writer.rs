//! Writes HTML. Tags and the names of attributes are this program's own words, known when it is compiled; everything else goes through one
//! place that takes its power away. There is no way to write a text that is not escaped.

use crate::units::{Instant, visible};

/// Attributes, in the order in which they are written.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

#[derive(Debug, Default)]
pub(super) struct Html {
    out: String,
    /// Whose tables follow: of several on a page each needs a name of its own.
    of: String,
}

impl Html {
    pub(super) fn as_str(&self) -> &str {
        &self.out
    }

    /// No more room than what was written takes.
    pub(super) fn shrink(&mut self) {
        self.out.shrink_to_fit();
    }

    /// From here on tables are of this one.
    pub(super) fn now_of(&mut self, of: &str) {
        of.clone_into(&mut self.of);
    }

    /// What begins every page.
    pub(super) fn doctype(&mut self) {
        self.out.push_str("<!DOCTYPE html>\n");
    }

    /// An element, and what is in it.
    pub(super) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, content: impl FnOnce(&mut Html)) {
        self.open(tag, attributes);
        content(self);
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        // Where a line may end, the page is easier to read for those who look at its source.
        if matches!(tag, "section" | "table" | "tr" | "details" | "figure" | "head" | "svg" | "ul" | "dl" | "p" | "h1" | "h2" | "h3" | "h4")
        {
            self.out.push('\n');
        }
    }

    /// An element with a text in it.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(tag, attributes, |html| html.text(text));
    }

    /// An element that has no content.
    pub(super) fn void(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.open(tag, attributes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.escaped(text);
    }

    /// The style sheet, which is this program's own: nothing in it comes from anywhere.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.out.push_str("<style>");
        self.out.push_str(sheet);
        self.out.push_str("</style>\n");
    }

    /// What ends every page.
    pub(super) fn end(&mut self) {
        self.out.push('\n');
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn open(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            self.escaped(value);
            self.out.push('"');
        }
        self.out.push('>');
    }

    /// Nothing that could end a text, an attribute or the direction of writing.
    fn escaped(&mut self, text: &str) {
        let mut rest = text;
        // Most of a page is plain.
        while let Some(at) = rest.bytes().position(|byte| !is_plain(byte)) {
            let (plain, other) = rest.split_at(at);
            self.out.push_str(plain);
            let mut signs = other.chars();
            match signs.next() {
                Some('&') => self.out.push_str("&amp;"),
                Some('<') => self.out.push_str("&lt;"),
                Some('>') => self.out.push_str("&gt;"),
                Some('"') => self.out.push_str("&quot;"),
                Some('\'') => self.out.push_str("&#39;"),
                Some('\n' | '\t') => self.out.push(' '),
                Some(sign) => self.out.push(visible(sign)),
                None => {}
            }
            rest = signs.as_str();
        }
        self.out.push_str(rest);
    }
}

/// What stays as it is wherever it stands. What lies beyond ASCII is looked at more closely.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'')
}

/// What pages have again and again.
impl Html {
    /// A moment, exact for programs.
    pub(super) fn time(&mut self, at: Instant) {
        self.leaf("time", &[("datetime", &at.to_string())], &crate::plan::minute(at));
    }

    /// The day only, where room is scarce.
    pub(super) fn maybe_day(&mut self, at: Option<Instant>, otherwise: &str) {
        match at {
            Some(at) => self.leaf("time", &[("datetime", &at.to_string())], &crate::report::words::day(at)),
            None => self.text(otherwise),
        }
    }

    pub(super) fn maybe_time(&mut self, at: Option<Instant>, otherwise: &str) {
        match at {
            Some(at) => self.time(at),
            None => self.text(otherwise),
        }
    }

    /// A figure, as people read it, with the exact one beside it.
    pub(super) fn figure(&mut self, exact: impl std::fmt::Display, shown: &str) {
        self.leaf("data", &[("value", &exact.to_string())], shown);
    }

    pub(super) fn lasting(&mut self, seconds: f64) {
        self.figure(seconds, &crate::report::words::lasting(seconds));
    }

    pub(super) fn maybe_lasting(&mut self, seconds: Option<f64>, otherwise: &str) {
        match seconds {
            Some(seconds) => self.lasting(seconds),
            None => self.text(otherwise),
        }
    }

    pub(super) fn sized(&mut self, bytes: u64) {
        self.figure(bytes, &crate::report::words::sized(bytes));
    }

    pub(super) fn maybe_sized(&mut self, bytes: Option<u64>, otherwise: &str) {
        match bytes {
            Some(bytes) => self.sized(bytes),
            None => self.text(otherwise),
        }
    }

    pub(super) fn count(&mut self, count: usize) {
        self.figure(count, &count.to_string());
    }

    /// A table. Wide ones can be moved by the keyboard, so they have a name.
    pub(super) fn table(&mut self, name: &str, header: &[&str], rows: impl FnOnce(&mut Html)) {
        let name = if self.of.is_empty() { name.to_owned() } else { format!("{}: {name}", self.of) };
        self.element("div", &[("class", "wide"), ("tabindex", "0"), ("role", "region"), ("aria-label", &name)], |html| {
            html.element("table", &[], |html| {
                html.element("thead", &[], |html| {
                    html.element("tr", &[], |html| {
                        for (at, column) in header.iter().enumerate() {
                            // A column of figures is marked by a leading `#`.
                            let (class, column) = column.strip_prefix('#').map_or(("", *column), |column| ("n", column));
                            let attributes: Attributes<'_> =
                                if class.is_empty() || at == 0 { &[("scope", "col")] } else { &[("scope", "col"), ("class", "n")] };
                            html.leaf("th", attributes, column);
                        }
                    });
                });
                html.element("tbody", &[], rows);
            });
        });
    }

    pub(super) fn row(&mut self, cells: impl FnOnce(&mut Html)) {
        self.element("tr", &[], cells);
    }

    pub(super) fn cell(&mut self, text: &str) {
        self.element("td", &[], |html| html.prose(text));
    }

    /// A sentence: what stands between backticks is shown as code. Backticks that do not come in pairs are text like any other.
    pub(super) fn prose(&mut self, sentence: &str) {
        if sentence.contains("``") || sentence.matches('`').count() % 2 == 1 {
            self.text(sentence);
            return;
        }
        for (at, part) in sentence.split('`').enumerate() {
            match at % 2 {
                0 => self.text(part),
                _ => self.leaf("code", &[], part),
            }
        }
    }

    pub(super) fn name(&mut self, text: &str) {
        self.leaf("th", &[("scope", "row")], text);
    }

    /// A cell with a figure.
    pub(super) fn n(&mut self, content: impl FnOnce(&mut Html)) {
        self.element("td", &[("class", "n")], content);
    }

    pub(super) fn td(&mut self, content: impl FnOnce(&mut Html)) {
        self.element("td", &[], content);
    }

    /// What opens when somebody asks for it.
    pub(super) fn folded(&mut self, summary: &str, content: impl FnOnce(&mut Html)) {
        self.element("details", &[], |html| {
            html.leaf("summary", &[], summary);
            content(html);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_written_acts() {
        let mut html = Html::default();
        let evil = "<script>alert(1)</script>\"' onload=x &amp;\u{202e}\u{0}\u{1b}\n</td>";
        html.leaf("td", &[("title", evil)], evil);
        let written = html.finish();
        let inside = written.trim_start_matches("<td title=\"").trim_end().trim_end_matches("</td>");
        assert!(
            !inside.contains('<') && !inside.contains('\u{202e}') && !inside.contains('\u{0}') && !inside.contains('\u{1b}'),
            "{written}"
        );
        // The only sign that ends anything is the one that ends the attribute.
        assert_eq!(inside.matches('"').count(), 1, "{written}");
        assert_eq!(inside.matches('>').count(), 1, "{written}");
        assert!(inside.contains("&amp;amp;"), "{written}");
    }
}
