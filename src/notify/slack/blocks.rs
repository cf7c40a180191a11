//! What a message looks like in Slack, within Slack's limits.

use serde_json::{Value, json};

use crate::alert::{Item, Notice, NoticeKind};
use crate::message::Message;
use crate::policy::file::Severity;
use crate::units::visible;

/// Slack's limits, by which a message is refused as a whole.
const MAX_BLOCKS: usize = 50;
const MAX_HEADER: usize = 150;
const MAX_SECTION: usize = 3_000;
const MAX_TEXT: usize = 4_000;
/// Ours: what people read.
const MAX_ITEMS: usize = 20;
const MAX_CONTEXT: usize = 1_000;
const UTC: &str = "%Y-%m-%d %H:%M:%SZ";

/// The message without its channel. `text` is what notifications show, and what is read aloud.
pub(super) fn message(notice: &Notice, message: &Message) -> Value {
    let mut blocks =
        vec![json!({ "type": "header", "text": { "type": "plain_text", "text": clipped(&message.subject, MAX_HEADER), "emoji": false } })];
    match &message.html {
        // Ours.
        Some(_) => {
            blocks.extend(notice.items.iter().take(MAX_ITEMS).map(|item| section(&told(item, notice.kind))));
            if let Some(more) = notice.items.len().checked_sub(MAX_ITEMS).filter(|more| *more > 0) {
                blocks.push(section(&format!("… and {more} more")));
            }
        }
        // The receiver's own words, in as many pieces as Slack wants.
        None => blocks.extend(pieces(&escaped(&message.text), MAX_SECTION).iter().take(MAX_BLOCKS - 2).map(|piece| section(piece))),
    }
    let about = format!("policy {} · {} · {} · {}", notice.policy, message.severity, message.kind, notice.at.strftime(UTC));
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": clipped(&escaped(&about), MAX_CONTEXT) }] }));
    json!({ "text": fitted(&escaped(&message.subject), MAX_TEXT), "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

fn told(item: &Item, kind: NoticeKind) -> String {
    let line = |text: &str| escaped(&text.replace(['\n', '\r'], " "));
    let sign = match (kind, item.severity) {
        (NoticeKind::Resolved, _) => ":white_check_mark:",
        (_, Severity::Critical) => ":red_circle:",
        (_, Severity::Warning) => ":large_orange_circle:",
        (_, Severity::Info) => ":large_blue_circle:",
    };
    let mut lines = vec![format!("{sign} *{}*", line(&item.title).replace('*', "∗"))];
    if !item.text.trim().is_empty() {
        lines.push(escaped(item.text.trim()));
    }
    let moment = |name: &str, at: Option<crate::units::Instant>| {
        // In the reader's own time zone; what cannot show that shows UTC.
        at.map(|at| format!("{name}: <!date^{}^{{date_short_pretty}} {{time_secs}}|{}>", at.as_second(), at.strftime(UTC)))
    };
    lines.extend(item.job.as_deref().map(|job| format!("job: `{}`", line(job).replace('`', "'"))));
    lines.extend(moment("since", item.since));
    lines.extend(moment("until", item.until));
    lines.extend(item.facts.iter().take(20).map(|(name, value)| format!("{}: {}", line(name), line(value))));
    lines.extend(item.hint.as_deref().map(|hint| format!("*What to do:* {}", escaped(hint))));
    if matches!(kind, NoticeKind::Firing | NoticeKind::Reminder | NoticeKind::Escalation) {
        lines.push(format!("Acknowledge it: `seawall ack {}`", line(&item.key).replace('`', "'")));
    }
    lines.join("\n")
}

/// `text` is escaped.
fn section(text: &str) -> Value {
    let text = fitted(text, MAX_SECTION);
    // An empty one is refused.
    let text = if text.trim().is_empty() { "–" } else { text.as_str() };
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text, "verbatim": true } })
}

/// Slack's three signs, so that nothing in somebody's words becomes a link or calls a whole channel.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\n' | '\t' => out.push(c),
            c => out.push(visible(c)),
        }
    }
    out
}

/// Slack counts as JavaScript does.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Plain text of at most that length.
fn clipped(text: &str, limit: usize) -> String {
    if length(text) <= limit {
        return text.to_owned();
    }
    let (mut out, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += c.len_utf16();
        if used > limit {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// Escaped text of at most that length: no escape is cut in two, and no link.
fn fitted(text: &str, limit: usize) -> String {
    let clipped = clipped(text, limit);
    if clipped.len() == text.len() {
        return clipped;
    }
    let body = clipped.strip_suffix('…').unwrap_or(&clipped);
    let open = |begin: char, end: char| body.rfind(begin).filter(|at| !body[*at..].contains(end));
    let cut = [open('&', ';'), open('<', '>')].into_iter().flatten().min().unwrap_or(body.len());
    format!("{}…", &body[..cut])
}

/// Escaped text in pieces of at most that length, cut at the ends of lines where there are any.
fn pieces(text: &str, limit: usize) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let fits = |piece: &String| length(piece) + length(line) <= limit;
        match pieces.last_mut() {
            Some(last) if fits(last) => last.push_str(line),
            _ => pieces.push(line.to_owned()),
        }
    }
    // One line may still be too long; `section` cuts it.
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_by_somebodys_words() {
        assert_eq!(escaped("<!channel> & <@U1> <https://x|y>"), "&lt;!channel&gt; &amp; &lt;@U1&gt; &lt;https://x|y&gt;");
        assert_eq!(escaped("a\u{202e}b\u{7}\nc"), "a\u{fffd}b\u{fffd}\nc");
    }

    #[test]
    fn what_is_cut_is_not_cut_in_the_middle() {
        assert_eq!(clipped("😀😀😀", 6), "😀😀😀");
        assert_eq!(clipped("😀😀😀", 5), "😀😀…");
        assert_eq!(fitted("ab&amp;cd", 6), "ab…");
        assert_eq!(fitted("ab <!date^1^x|y> cd", 12), "ab …");
        assert_eq!(fitted("ab&amp;cd", 9), "ab&amp;cd");
        let text = format!("{}\n{}\n\n{}", "a".repeat(2_000), "b".repeat(2_000), "c".repeat(9_000));
        let pieces = pieces(&text, 3_000);
        assert_eq!(pieces.len(), 3);
        assert!(length(section(&pieces[2])["text"]["text"].as_str().expect("text")) <= 3_000);
    }
}
