//! Commands as somebody types them into a POSIX shell.

use super::Setting;
use crate::emit::quote::for_shell;

/// How long a line may be before it goes on in the next one.
const WIDTH: usize = 100;

/// A word of a command.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word<'w> {
    /// This, whatever is in it.
    Is(&'w str),
    /// What the reader has put into a variable.
    Of(&'static str),
}

/// `seawall …` on this policy.
pub(super) fn seawall(setting: &Setting, words: &[Word<'_>]) -> String {
    let policy = [Word::Is("--policy"), Word::Is(&setting.policy_file)];
    // Where the policy lies where it is looked for, the command is shorter without it.
    let policy = if setting.policy_file == Setting::USUAL { &[][..] } else { &policy[..] };
    command("seawall", &[words, policy].concat())
}

pub(super) fn command(program: &str, words: &[Word<'_>]) -> String {
    let mut lines = vec![program.to_owned()];
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let mut piece = written(*word);
        // An option stays beside its value.
        if piece.starts_with("--")
            && let Some(value) = rest.next_if(|next| !written(**next).starts_with("--"))
        {
            piece = format!("{piece} {}", written(*value));
        }
        let last = lines.last_mut().expect("a line");
        if last.len() + piece.len() > WIDTH {
            last.push_str(" \\");
            lines.push(format!("    {piece}"));
        } else {
            last.push(' ');
            last.push_str(&piece);
        }
    }
    lines.join("\n")
}

fn written(word: Word<'_>) -> String {
    match word {
        Word::Is(text) => for_shell(text),
        Word::Of(name) => format!("\"${name}\""),
    }
}

/// Words of a policy, such as a hook's.
pub(super) fn words_of(words: &[String]) -> String {
    words.iter().map(|word| for_shell(word)).collect::<Vec<_>>().join(" ")
}

/// `dbname='my db'` within a connection string: what stands in it means nothing.
pub(super) fn database(name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { format!("dbname={name}") } else { format!("dbname='{}'", name.replace('\\', r"\\").replace('\'', r"\'")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words() {
        let setting = Setting { policy_file: "/etc/it's.yaml".into(), ..Setting::default() };
        let said = seawall(&setting, &[Word::Is("restore"), Word::Is("--to"), Word::Of("moment"), Word::Is("--target"), Word::Is("/a b")]);
        assert_eq!(said, r#"seawall restore --to "$moment" --target '/a b' --policy '/etc/it'\''s.yaml'"#);
        assert_eq!(database("my 'db\\"), r"dbname='my \'db\\'");
    }
}
