//! Problems: the document that an ACME client reads, and the form in which one is stored with an order or challenge.

use api::problem::ProblemDocument;
use pki_core::acme::problem::Problem;

/// A body that should be a problem document, as the agent reads it, and a stored problem, as the store does.
pub fn problem(input: &[u8]) {
    if let Ok(document) = serde_json::from_slice::<ProblemDocument>(input) {
        let written = serde_json::to_vec(&document).expect("texts, numbers and lists always serialise");
        let again = serde_json::from_slice::<ProblemDocument>(&written).expect("what was written can be read");
        assert_eq!(again, document, "writing and reading changed a document");
    }
    if let Ok(stored) = serde_json::from_slice::<Problem>(input) {
        let status = stored.http_status();
        let written = serde_json::to_vec(&stored).expect("texts, numbers and lists always serialise");
        let again = serde_json::from_slice::<Problem>(&written).expect("what was written can be read");
        assert_eq!((again.http_status(), &again), (status, &stored), "writing and reading changed a problem");
    }
}
