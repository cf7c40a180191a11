/// The names in one directory, one behind the other: a million boxes would take more memory than everything else.
#[derive(Debug, Default)]
pub(super) struct Names {
    text: Vec<u8>,
    /// Where each begins; a name has at most 255 bytes.
    places: Vec<(u32, u16)>,
}

impl Names {
    /// False when there is no room for more: four gigabytes of names.
    pub(super) fn push(&mut self, name: &[u8]) -> bool {
        let (Ok(from), Ok(len)) = (u32::try_from(self.text.len()), u16::try_from(name.len())) else { return false };
        self.places.push((from, len));
        self.text.extend_from_slice(name);
        true
    }

    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.places.sort_unstable_by_key(|(from, len)| &text[*from as usize..*from as usize + usize::from(*len)]);
    }

    pub(super) fn get(&self, number: usize) -> Option<&[u8]> {
        let (from, len) = *self.places.get(number)?;
        Some(&self.text[from as usize..from as usize + usize::from(len)])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.places.len()).filter_map(|number| self.get(number))
    }
}
