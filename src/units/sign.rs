/// Does it act on a terminal, or deceive the eye? Control characters, and those that turn the direction of writing or cannot be seen.
pub fn is_wild(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The same sign, or a replacement character in place of a wild one.
pub fn visible(c: char) -> char {
    if is_wild(c) { '\u{fffd}' } else { c }
}
