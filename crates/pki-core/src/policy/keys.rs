//! Keys a profile allows, and what they are used for.

use std::fmt;

use crate::x509::key::KeyAlgorithm;

/// Keys a profile allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyRules {
    /// ECDSA, on the curves below.
    pub ecdsa: bool,
    /// The curves of ECDSA.
    pub curves: Curves,
    /// Ed25519.
    pub ed25519: bool,
    /// The least RSA modulus in bits; none forbids RSA.
    pub rsa_min_bits: Option<u32>,
    /// The greatest RSA modulus in bits, where there is one.
    pub rsa_max_bits: Option<u32>,
}

/// Curves of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of curves")]
pub struct Curves {
    pub p256: bool,
    pub p384: bool,
    pub p521: bool,
}

impl Curves {
    /// All that this CA certifies.
    pub const ALL: Self = Self { p256: true, p384: true, p521: true };

    /// The written forms.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let Self { p256, p384, p521 } = self;
        [(p256, "P-256"), (p384, "P-384"), (p521, "P-521")]
            .into_iter()
            .filter(|(is_in, _)| *is_in)
            .map(|(_, name)| name)
    }
}

impl KeyRules {
    /// Whether a key of this type and size is allowed.
    pub fn allows(&self, algorithm: KeyAlgorithm) -> bool {
        match algorithm {
            KeyAlgorithm::EcdsaP256 => self.ecdsa && self.curves.p256,
            KeyAlgorithm::EcdsaP384 => self.ecdsa && self.curves.p384,
            KeyAlgorithm::EcdsaP521 => self.ecdsa && self.curves.p521,
            KeyAlgorithm::Ed25519 => self.ed25519,
            KeyAlgorithm::Rsa { bits } => {
                self.rsa_min_bits.is_some_and(|least| bits >= least)
                    && self.rsa_max_bits.is_none_or(|greatest| bits <= greatest)
            }
        }
    }
}

impl KeyRules {
    /// A key that is allowed, where any is.
    pub fn example(&self) -> Option<KeyAlgorithm> {
        let rsa = self.rsa_min_bits.map(|bits| KeyAlgorithm::Rsa { bits });
        [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::EcdsaP521, KeyAlgorithm::Ed25519]
            .into_iter()
            .chain(rsa)
            .find(|key| self.allows(*key))
    }
}

impl fmt::Display for KeyRules {
    /// `ECDSA or Ed25519 or RSA of at least 3072 bits`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if self.ecdsa && self.curves == Curves::ALL {
            words.push("ECDSA".to_owned());
        } else if self.ecdsa {
            words.extend(self.curves.names().map(|curve| format!("ECDSA {curve}")));
        }
        words.extend(self.ed25519.then(|| "Ed25519".to_owned()));
        words.extend(self.rsa_min_bits.map(|least| match self.rsa_max_bits {
            Some(greatest) => format!("RSA of {least} to {greatest} bits"),
            None => format!("RSA of at least {least} bits"),
        }));
        f.write_str(&words.join(" or "))
    }
}

/// What a certificate may be used for (RFC 5280 section 4.2.1.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExtendedKeyUsage {
    /// TLS server.
    ServerAuth,
    /// TLS client.
    ClientAuth,
}

impl ExtendedKeyUsage {
    /// The word of RFC 5280 without `id-kp-`, also the written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
        }
    }
}

/// What a key may be used for (RFC 5280 section 4.2.1.3); those that leaves can have, in the order of their bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyUsage {
    /// Signatures on handshakes.
    DigitalSignature,
    /// Signatures that are meant to be shown to others; once called nonRepudiation.
    ContentCommitment,
    /// RSA key transport.
    KeyEncipherment,
    /// Encryption of data by the key itself.
    DataEncipherment,
    /// Diffie-Hellman with the key itself.
    KeyAgreement,
}

impl KeyUsage {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::DigitalSignature,
        Self::ContentCommitment,
        Self::KeyEncipherment,
        Self::DataEncipherment,
        Self::KeyAgreement,
    ];

    /// The word of RFC 5280, also the written form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DigitalSignature => "digitalSignature",
            Self::ContentCommitment => "contentCommitment",
            Self::KeyEncipherment => "keyEncipherment",
            Self::DataEncipherment => "dataEncipherment",
            Self::KeyAgreement => "keyAgreement",
        }
    }

    /// Whether a key of this kind can do it (RFC 3279 section 2.3, RFC 8410 section 5).
    pub const fn suits(self, algorithm: KeyAlgorithm) -> bool {
        let is_rsa = matches!(algorithm, KeyAlgorithm::Rsa { .. });
        match self {
            Self::DigitalSignature | Self::ContentCommitment => true,
            Self::KeyEncipherment | Self::DataEncipherment => is_rsa,
            Self::KeyAgreement => !is_rsa && !matches!(algorithm, KeyAlgorithm::Ed25519),
        }
    }
}

/// What is written for a key: of `wanted` what it can do; when nothing is wanted in particular, signatures, and key
/// encipherment for RSA keys of TLS servers (X5-5).
pub fn usages_of(wanted: &[KeyUsage], purposes: &[ExtendedKeyUsage], algorithm: KeyAlgorithm) -> Vec<KeyUsage> {
    let usual = [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment];
    let is_server = purposes.contains(&ExtendedKeyUsage::ServerAuth);
    let usual = if is_server { &usual[..] } else { &usual[..1] };
    let wanted = if wanted.is_empty() { usual } else { wanted };
    KeyUsage::ALL.into_iter().filter(|usage| wanted.contains(usage) && usage.suits(algorithm)).collect()
}
