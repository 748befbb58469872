//! Commands that a document tells its reader to type, for a test to type them.

use std::path::Path;

/// The section of one program in a document of `docs/`.
#[derive(Debug, Clone)]
pub struct Manual {
    title: String,
    text: String,
}

impl Manual {
    /// Reads the section under `## TITLE`.
    pub fn of(document: &str, title: &str) -> Self {
        let whole = Self::whole(document);
        let heading = format!("\n## {title}\n");
        let (_, after) = whole.split_once(&heading).unwrap_or_else(|| panic!("{document} has no section `{title}`"));
        let text = after.split("\n## ").next().unwrap().to_owned();
        Self { title: title.to_owned(), text }
    }

    /// The text of a document of `docs/`.
    pub fn whole(document: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(document);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The block that begins with a fence such as "```sh renew".
    pub fn block(&self, name: &str) -> String {
        let fences = self.blocks();
        let found = fences.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("no block `{name}` in the section `{}`", self.title)).1.clone()
    }

    /// Names and texts of all blocks that have a name, in their order.
    pub fn blocks(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut open: Option<(String, String)> = None;
        for line in self.text.lines() {
            match (&mut open, line.strip_prefix("```")) {
                (None, Some(info)) => {
                    let name = info.split_once(' ').map_or("", |(_, name)| name);
                    open = Some((name.to_owned(), String::new()));
                }
                (Some((_, text)), None) => *text += &format!("{line}\n"),
                (Some(_), Some(_)) => found.extend(open.take().filter(|(name, _)| !name.is_empty())),
                (None, None) => {}
            }
        }
        found
    }
}
