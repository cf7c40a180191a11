//! What the YAML parser objects to, in words for people who do not know YAML's grammar.

use granit_parser::ErrorKind;

/// The parser noticed only later that a quote is open.
pub(super) fn is_open_quote(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar | ErrorKind::InvalidQuotedScalarIndent)
}

/// `${NAME}` inside of `{ … }`.
pub(super) fn template_words() -> (String, String) {
    let hint = "What a template leaves open (`${NAME}`) must be filled in before this is read; a secret is named as `{ env: NAME }`.";
    ("a bracket cannot stand inside a text without quotes".to_owned(), hint.to_owned())
}

/// What is wrong, and how to mend it.
pub(super) fn words(kind: &ErrorKind) -> (String, String) {
    let (message, hint) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => ("a tab cannot stand here", "Indent with spaces: YAML does not allow tabs."),
        ErrorKind::UnknownAnchor => (
            "there is no anchor of this name above",
            "An alias (`*name`) needs an anchor (`&name`) further up; a text that begins with `*` needs quotes.",
        ),
        ErrorKind::MissingAnchorOrAliasName => ("a name is missing behind this sign", "A text that begins with `*` or `&` needs quotes."),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            ("a quote that is opened here is never closed", "Close the quote on the same line.")
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            ("something follows the closing quote", "Put all of the text inside the quotes; a `'` inside '…' is written twice.")
        }
        ErrorKind::UnknownQuotedScalarEscape
        | ErrorKind::InvalidQuotedScalarHexEscape
        | ErrorKind::InvalidUnicodeEscape
        | ErrorKind::UnpairedLowSurrogate
        | ErrorKind::MissingLowSurrogate
        | ErrorKind::InvalidLowSurrogate
        | ErrorKind::InvalidLowSurrogateHexEscape => {
            ("this escape is unknown", "Inside \"…\" a backslash has a meaning: write it twice, or use '…'.")
        }
        ErrorKind::UnclosedFlowCollection { open } => {
            return (format!("`{open}` is never closed"), format!("Add `{}` where it ends.", if *open == '{' { '}' } else { ']' }));
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (format!("`{close}` closes what `{open}` has opened"), "Brackets close in the order in which they were opened.".into());
        }
        ErrorKind::MisplacedFlowCollectionEnd => ("nothing is open that this could close", "Take it out, or put the text in quotes."),
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnexpectedEofBlockSequence
        | ErrorKind::UnexpectedEofBlockMapping => ("the file ends too early", "Look for a bracket or a quote that is never closed."),
        ErrorKind::ExpectedFlowMappingSeparator => ("a comma or `}` is missing before this", "Write `{ key: value, key: value }`."),
        ErrorKind::ExpectedFlowSequenceSeparator => ("a comma or `]` is missing before this", "Write `[one, two]`."),
        ErrorKind::FlowMappingValueAdjacentCollection | ErrorKind::InvalidMappingValueWhitespace => {
            ("a space is missing behind `:`", "Write `key: value`, with a space.")
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => (
            "a second `: ` stands in one line",
            "A text with `: ` in it needs quotes; otherwise check the indentation of this line and the one above.",
        ),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("this line is no `key: value`", "Write a `:` and a space behind the key, and check the indentation.")
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::MappingKeyNotAllowed
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::InvalidFlowScalarIndent
        | ErrorKind::InvalidBlockScalarIndent => {
            ("the indentation does not fit", "Keys of one element begin in the same column; compare with the lines above.")
        }
        ErrorKind::UnexpectedCharacter { character: '`' } => ("a text cannot begin with a backtick", "Put the text in quotes."),
        ErrorKind::UnexpectedCharacter { character } => {
            return (
                format!("a text cannot begin with `{}`", crate::units::clipped(&character.to_string())),
                "Put the text in quotes.".into(),
            );
        }
        ErrorKind::CommentNotSeparated | ErrorKind::CommentInterceptedScalar => {
            ("a comment stands where none can", "Leave a space before `#`; a text with `#` in it needs quotes.")
        }
        ErrorKind::UndeclaredTagHandle
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::InvalidGlobalTagCharacter
        | ErrorKind::MissingTagUri => ("tags have no meaning in a policy", "A text that begins with `!` needs quotes."),
        _ => ("YAML does not allow this here", "Check the indentation and the quotes here and on the line above."),
    };
    (message.to_owned(), hint.to_owned())
}
