//! The only place that reads the system's randomness; everything else takes an [`Entropy`].

use ring::rand::SecureRandom;

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills `buffer` with unpredictable bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone)]
pub struct SystemEntropy(ring::rand::SystemRandom);

impl SystemEntropy {
    /// Opens the generator.
    #[expect(
        clippy::disallowed_methods,
        clippy::new_without_default,
        reason = "the one door to the system's randomness"
    )]
    pub fn new() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // getrandom(2) fails only before the kernel's pool is initialised or when the call is forbidden;
        // a CA that goes on with predictable bytes would be worse than one that stops.
        self.0.fill(buffer).expect("the operating system provides randomness");
    }
}

/// `N` unpredictable bytes.
pub fn bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut buffer = [0; N];
    entropy.fill(&mut buffer);
    buffer
}
