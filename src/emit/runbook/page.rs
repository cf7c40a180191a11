//! What a runbook is made of, and how it is written as Markdown and as HTML.
//!
//! Texts are lines in which backticks set code apart. Somebody's own words come into them through `plan::words`, which leaves no backtick
//! in them; both writers escape everything else.

use crate::plan::markdown::escaped;

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Heading(u8, String),
    Words(String),
    /// What must not be overlooked.
    Warning(String),
    List(Vec<String>),
    /// To be ticked off, in order.
    Steps(Vec<Step>),
    Code(String),
    Table(Vec<&'static str>, Vec<Vec<String>>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub what: String,
    pub commands: Option<String>,
}

impl Step {
    pub(super) fn new(what: impl Into<String>) -> Step {
        Step { what: what.into(), commands: None }
    }

    pub(super) fn with(what: impl Into<String>, commands: impl Into<String>) -> Step {
        Step { what: what.into(), commands: Some(commands.into()) }
    }
}

pub(super) fn to_markdown(blocks: &[Block]) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Heading(level, words) => text.push_str(&format!("{} {}\n", "#".repeat(usize::from(*level)), line(words))),
            Block::Words(words) => text.push_str(&format!("{}\n", line(words))),
            Block::Warning(words) => text.push_str(&format!("> **Mind:** {}\n", line(words))),
            Block::List(items) => items.iter().for_each(|item| text.push_str(&format!("* {}\n", line(item)))),
            Block::Steps(steps) => {
                for (number, step) in (1..).zip(steps) {
                    text.push_str(&format!("{number}. ☐ {}\n", line(&step.what)));
                    if let Some(commands) = &step.commands {
                        // As far in as the words of the step, or it would end the list.
                        let margin = " ".repeat(format!("{number}. ").len());
                        text.push_str(&format!("\n{}\n", indented(&fenced(commands), &margin)));
                    }
                }
            }
            Block::Code(code) => text.push_str(&fenced(code)),
            Block::Table(head, rows) => {
                let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
                text.push_str(&row(head.iter().map(ToString::to_string).collect()));
                text.push_str(&row(head.iter().map(|_| "---".to_owned()).collect()));
                rows.iter().for_each(|cells| text.push_str(&row(cells.iter().map(|cell| line(cell)).collect())));
            }
        }
        // One empty line between two parts.
        text.truncate(text.trim_end().len());
        text.push_str("\n\n");
    }
    format!("{}\n", text.trim_end())
}

/// Words outside of backticks lose their meaning for Markdown.
fn line(words: &str) -> String {
    let parts = words.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("`{}`", part.replace('|', "\\|")) } else { escaped(part) }).collect()
}

/// Between fences that are longer than any in it.
fn fenced(code: &str) -> String {
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sh\n{}\n{fence}\n", code.trim_end())
}

/// Beneath a numbered step.
fn indented(text: &str, margin: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{margin}{line}\n") }).collect()
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#16181d;--paper:#fff;--soft:#f1f3f6;--line:#c4cad3;--warn:#9a3412;--warn-paper:#fff4ed}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--paper:#14161a;--soft:#20242b;--line:#454c57;--warn:#fdba74;--warn-paper:#33200f}}
body{font:17px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:0 auto;padding:1rem 1.5rem 4rem}
h1{font-size:1.8rem}h2{margin-top:2.5rem;border-top:3px solid var(--ink);padding-top:.6rem}h3{margin-top:1.8rem}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;overflow-x:auto;font-size:15px;line-height:1.45}
code{font-family:ui-monospace,monospace}:not(pre)>code{background:var(--soft);padding:.1em .3em;border-radius:4px;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin:.8rem 0}th,td{border:1px solid var(--line);padding:.35rem .6rem;text-align:left;vertical-align:top}
th{background:var(--soft)}.warning{border-left:6px solid var(--warn);background:var(--warn-paper);padding:.6rem 1rem}
ol>li{margin:.6rem 0}input[type=checkbox]{width:1.1rem;height:1.1rem;margin-right:.5rem;vertical-align:-.15rem}
@media print{body{font-size:11pt;max-width:none;padding:0}pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:9.5pt}h2{break-before:page}pre,table,.warning{break-inside:avoid}h3{break-after:avoid}}";

pub(super) fn to_html(title: &str, blocks: &[Block]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>\n<main>\n",
        harmless(title)
    );
    for block in blocks {
        match block {
            Block::Heading(level, words) => text.push_str(&format!("<h{level}>{}</h{level}>\n", marked(words))),
            Block::Words(words) => text.push_str(&format!("<p>{}</p>\n", marked(words))),
            Block::Warning(words) => text.push_str(&format!("<p class=\"warning\"><strong>Mind:</strong> {}</p>\n", marked(words))),
            Block::List(items) => {
                let items: String = items.iter().map(|item| format!("<li>{}</li>\n", marked(item))).collect();
                text.push_str(&format!("<ul>\n{items}</ul>\n"));
            }
            Block::Steps(steps) => {
                let steps: String = steps.iter().map(step).collect();
                text.push_str(&format!("<ol>\n{steps}</ol>\n"));
            }
            Block::Code(code) => text.push_str(&listing(code)),
            Block::Table(head, rows) => {
                let head: String = head.iter().map(|cell| format!("<th scope=\"col\">{}</th>", harmless(cell))).collect();
                let row = |cells: &Vec<String>| {
                    let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", marked(cell))).collect();
                    format!("<tr>{cells}</tr>\n")
                };
                let rows: String = rows.iter().map(row).collect();
                text.push_str(&format!("<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"));
            }
        }
    }
    text.push_str("</main>\n</body>\n</html>\n");
    text
}

fn step(step: &Step) -> String {
    let commands = step.commands.as_deref().map(listing).unwrap_or_default();
    format!("<li><label><input type=\"checkbox\">{}</label>\n{commands}</li>\n", marked(&step.what))
}

/// It can be scrolled with the keyboard.
fn listing(code: &str) -> String {
    format!("<pre tabindex=\"0\"><code>{}</code></pre>\n", harmless(code.trim_end()))
}

fn marked(words: &str) -> String {
    let parts = words.split('`').enumerate();
    parts.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", harmless(part)) } else { harmless(part) }).collect()
}

fn harmless(text: &str) -> String {
    let sign = |c: char| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        c => c.to_string(),
    };
    text.chars().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobodys_words_act() {
        let words = "a <script>alert(1)</script> [x](y) | `se<b>` & more";
        let blocks = [Block::Words(words.into()), Block::Table(vec!["x"], vec![vec![words.into()]]), Block::Code("```\n<i>".into())];
        let html = to_html("<b>", &blocks);
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains("<i>"), "{html}");
        let markdown = to_markdown(&blocks);
        assert!(!markdown.contains(" <script"), "{markdown}");
        assert!(markdown.contains("````sh\n```\n<i>\n````"), "{markdown}");
    }
}
