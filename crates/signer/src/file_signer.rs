//! A signer whose keys are encrypted files, opened once at start.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pki_core::x509::key::{PublicKey, SignatureAlgorithm};
use tokio::sync::Semaphore;

use crate::envelope::Envelope;
use crate::error::{KeyFileError, SignError};
use crate::key_pair::KeyPair;
use crate::passphrase::Passphrase;
use crate::{BoxFuture, KeyId, LongBytes, Purpose, Signer, file};

/// How long a signature may take, waiting included.
const DEADLINE: Duration = Duration::from_secs(10);

/// What is signed on the spot at most: hashing it takes less than handing it to another thread and back.
const INLINE: usize = 64 * 1024;

/// Signs with keys from encrypted files.
pub struct FileSigner {
    keys: BTreeMap<KeyId, Arc<KeyPair>>,
    envelope: Arc<Envelope>,
    slots: Arc<Semaphore>,
}

impl FileSigner {
    /// Opens `KEY.key` in `folder` for each key; costs up to a tenth of a second a key, so keep it off async threads.
    pub fn open(
        folder: &Path,
        passphrase: &Passphrase,
        keys: &[KeyId],
        envelope: Envelope,
    ) -> Result<Self, KeyFileError> {
        let files: Vec<_> = keys.iter().map(|key| (key.clone(), folder.join(key.file_name()))).collect();
        Self::open_files(&files, passphrase, envelope)
    }

    /// Opens keys that lie elsewhere, such as an offline root's.
    pub fn open_files(
        files: &[(KeyId, PathBuf)],
        passphrase: &Passphrase,
        envelope: Envelope,
    ) -> Result<Self, KeyFileError> {
        let open = |(key, path): &(KeyId, PathBuf)| Ok((key.clone(), Arc::new(open_key(path, passphrase)?)));
        let keys = files.iter().map(open).collect::<Result<_, KeyFileError>>()?;
        // RSA and long CRLs take a core each; more at once would only take cores from requests
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { keys, envelope: Arc::new(envelope), slots: Arc::new(Semaphore::new(cores)) })
    }

    /// The public half of a key that was opened.
    pub fn public_key(&self, key: &KeyId) -> Option<&PublicKey> {
        self.keys.get(key).map(|pair| pair.public())
    }

    async fn on_a_thread(&self, job: Job) -> Result<Vec<u8>, SignError> {
        let what = format!("signing with the key {} took longer than {} s", job.key, DEADLINE.as_secs());
        let slots = Arc::clone(&self.slots);
        let work = async move {
            // the permit moves into the thread: work that outlives its deadline still counts
            let permit = slots.acquire_owned().await;
            let done = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                job.run()
            });
            done.await.unwrap_or_else(|_| Err(SignError::refused("the signing thread ended; restart the CA")))
        };
        let late = SignError::Retry { what, after: DEADLINE };
        tokio::time::timeout(DEADLINE, work).await.unwrap_or(Err(late))
    }
}

impl Signer for FileSigner {
    fn sign<'a>(
        &'a self,
        key: &'a KeyId,
        purpose: Purpose,
        algorithm: SignatureAlgorithm,
        tbs: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        self.sign_long(key, purpose, algorithm, Arc::new(tbs.to_vec()))
    }

    fn sign_long<'a>(
        &'a self,
        key: &'a KeyId,
        purpose: Purpose,
        algorithm: SignatureAlgorithm,
        tbs: LongBytes,
    ) -> BoxFuture<'a, Result<Vec<u8>, SignError>> {
        Box::pin(async move {
            let pair = self.keys.get(key).ok_or_else(|| {
                SignError::refused(format!("the key {key} is not open; check the [ca] section of ca-server.toml"))
            })?;
            let is_long = (*tbs).as_ref().len() > INLINE;
            let (pair, envelope) = (Arc::clone(pair), Arc::clone(&self.envelope));
            let is_slow = pair.is_slow();
            let job = Job { pair, envelope, key: key.clone(), purpose, algorithm, tbs };
            match is_slow || is_long {
                true => self.on_a_thread(job).await,
                false => job.run(),
            }
        })
    }

    fn holds(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key)
    }
}

impl fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSigner").field("keys", &self.keys.keys()).finish_non_exhaustive()
    }
}

struct Job {
    pair: Arc<KeyPair>,
    envelope: Arc<Envelope>,
    key: KeyId,
    purpose: Purpose,
    algorithm: SignatureAlgorithm,
    tbs: LongBytes,
}

impl Job {
    fn run(self) -> Result<Vec<u8>, SignError> {
        let tbs = (*self.tbs).as_ref();
        self.envelope.check(self.purpose, self.algorithm, tbs)?;
        self.pair.sign(self.algorithm, tbs)
    }
}

fn open_key(path: &Path, passphrase: &Passphrase) -> Result<KeyPair, KeyFileError> {
    let pkcs8 = file::open(path, passphrase)?;
    KeyPair::from_pkcs8(&pkcs8).map_err(|why| KeyFileError::Unsupported { path: path.to_owned(), why })
}
