//! JSON Schema of the documents, generated from their types: what editors know of a file before the program reads it.
//!
//! A schema tells words and forms. What values mean together is checked by [`super::Policy::from_documents`] only.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use crate::policy::cases::CasesDocument;
use crate::policy::document::ProfileDocument;

/// The file in which the schema lies beside the documents.
pub const FILE: &str = "schema.json";

/// Of a profile.
pub fn profile() -> String {
    text::<ProfileDocument>("A profile of Pilotlight")
}

/// Of a file of cases.
pub fn cases() -> String {
    text::<CasesDocument>("Cases for profiles of Pilotlight")
}

/// Draft 7 is the newest that all language servers for YAML know.
fn text<T: JsonSchema>(title: &str) -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let text = serde_json::to_string_pretty(&schema).expect("a schema is a tree of JSON values");
    text + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::policy::testing::USUAL;

    /// Every object of the documents refuses words that it does not know, in the schema too.
    #[test]
    fn no_object_takes_unknown_words() {
        for text in [profile(), cases()] {
            let schema: Value = serde_json::from_str(&text).unwrap();
            let definitions = schema["definitions"].as_object().unwrap().values();
            let objects: Vec<&Value> =
                definitions.chain([&schema]).filter(|one| one.get("properties").is_some()).collect();
            assert!(objects.len() > 4);
            for object in objects {
                assert_eq!(object["additionalProperties"], false, "{object:#}");
            }
        }
    }

    /// Words of the schema are those that are read, so the lists in the attributes can not fall behind.
    #[test]
    fn the_words_offered_are_read() {
        let schema: Value = serde_json::from_str(&profile()).unwrap();
        let words = |definition: &str, member: &str| -> Vec<String> {
            let found = &schema["definitions"][definition]["properties"][member];
            let list = found.get("enum").unwrap_or(&found["items"]["enum"]).as_array();
            let list = list.unwrap_or_else(|| panic!("{definition}.{member}: {found:#}"));
            list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let kinds: Vec<&str> = crate::acme::challenge::ChallengeKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let mut challenges = words("Requires", "challenges");
        challenges.sort();
        let mut sorted = kinds;
        sorted.sort_unstable();
        assert_eq!(challenges, sorted);
        let usages: Vec<&str> = crate::policy::keys::KeyUsage::ALL.iter().map(|usage| usage.as_str()).collect();
        assert_eq!(words("Usage", "keyUsage"), usages);
        assert_eq!(words("Usage", "extendedKeyUsage"), ["serverAuth", "clientAuth"]);
        assert_eq!(words("Keys", "curves"), ["P-256", "P-384", "P-521"]);
        assert_eq!(words("Requires", "role"), ["administrator"]);
        for binding in words("Requires", "binding") {
            let text = USUAL.replace("binding: none", &format!("binding: {binding}"));
            let document = serde_saphyr::from_str(&text).unwrap();
            let told = crate::policy::Policy::from_documents(vec![("x".to_owned(), document)]);
            let errors = told.err().unwrap_or_default();
            assert!(!errors.iter().any(|error| error.field == "spec.requires.binding"), "{errors:?}");
        }
    }
}
