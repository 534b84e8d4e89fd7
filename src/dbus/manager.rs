//! `org.hearken.Hearken1.Manager`: sessions, jobs, devices, models.

use super::BusError;
use super::error::unblock;
use super::hub::{Hub, OwnedJob, sender};
use super::job::{self, JobObject, Recording};
use super::options::{self, Options, Scope};
use super::protocol::{CAPABILITIES, ManagerState, job_path, session_path};
use super::session::SessionObject;
use crate::audio::capture;
use crate::models::{Manifest, Store};
use crate::session::EngineState;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tracing::info;
use zbus::message::Header;
use zbus::object_server::{ObjectServer, SignalEmitter};
use zbus::{OwnedFd, OwnedObjectPath, OwnedVariant, interface};

/// Extensible details.
type Details = HashMap<String, OwnedVariant>;

/// The main object's interface.
pub(super) struct Manager {
    pub hub: Arc<Hub>,
}

#[interface(name = "org.hearken.Hearken1.Manager")]
impl Manager {
    /// Creates a session for the caller. options, laid over the configuration: device (s), language
    /// (s), languages (as): what detection chooses from; task (s): transcribe or translate; prompt
    /// (s): text that the speech continues; hotwords (as): names and terms to expect;
    /// spoken_punctuation (b): whether "comma", "new line" and the like become marks; partials (b);
    /// step, pause, longest, nothing_said (d): seconds; captions (b): broadcast the text, too. All
    /// text has the configuration's replacements. Unknown options and wrong values give
    /// Error.InvalidOption.
    #[zbus(out_args("session"))]
    async fn create_session(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        let (owner, wanted) = (
            sender(&header)?,
            options::read(self.hub.config(), options, Scope::Sessions)?,
        );
        let number = self.hub.number();
        let session = self.hub.create_session(number, owner.clone(), wanted);
        let object = SessionObject {
            hub: self.hub.clone(),
            number,
            owner,
            session,
        };
        let path = session_path(number);
        server.at(path.as_str(), object).await?;
        info!(number, "session created");
        OwnedObjectPath::try_from(path).map_err(BusError::from)
    }

    /// Input devices: id, name for people, whether it is the default one; details: monitor (b):
    /// what an output plays; rate (u) in Hz, channels (u).
    #[zbus(out_args("devices"))]
    async fn list_devices(&self) -> Result<Vec<(String, String, bool, Details)>, BusError> {
        let describe = |device: capture::Device| {
            let details = [
                ("monitor".to_owned(), device.is_monitor.into()),
                ("rate".to_owned(), device.rate.into()),
                ("channels".to_owned(), u32::from(device.channels).into()),
            ];
            (
                device.id,
                device.description,
                device.is_default,
                Details::from(details),
            )
        };
        Ok(unblock(capture::devices)
            .await??
            .into_iter()
            .map(describe)
            .collect())
    }

    /// Models: name, whether it is installed; details: in_use (b).
    #[zbus(out_args("models"))]
    async fn list_models(&self) -> Result<Vec<(String, bool, Details)>, BusError> {
        let installed = Store::locate()?.installed()?;
        let manifest = Manifest::builtin();
        let published = manifest.models.iter().map(|model| model.name.clone());
        let mut names: Vec<String> = published.chain(installed.iter().cloned()).collect();
        names.sort();
        names.dedup();
        let in_use = self.hub.engine().model();
        let describe = |name: String| {
            let details = Details::from([("in_use".to_owned(), (name == in_use).into())]);
            (name.clone(), installed.contains(&name), details)
        };
        Ok(names.into_iter().map(describe).collect())
    }

    /// Transcribes the recording that a file descriptor is open on, in any format that `hearken
    /// --file` takes. options: language, languages, task, prompt, hotwords, spoken_punctuation as
    /// for CreateSession. The job tells the text to the caller alone; it fails where the model is
    /// missing.
    #[zbus(out_args("job"))]
    async fn transcribe_file(
        &self,
        file: OwnedFd,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        self.start_job(Recording::File(file.into()), options, &header, server)
            .await
    }

    /// Transcribes the last seconds that were said, or as many as are kept, where the configuration
    /// has pre_capture. options as for TranscribeFile. Error.NotEnabled where it is off.
    #[zbus(out_args("job"))]
    async fn transcribe_last(
        &self,
        seconds: f64,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        if seconds.is_nan() || seconds <= 0.0 {
            return Err(BusError::InvalidOption(format!(
                "{seconds} seconds cannot be transcribed: give more than 0"
            )));
        }
        let off =
            "pre-capture is off, so nothing was kept; set audio.pre_capture in the configuration";
        let samples = self
            .hub
            .pre_capture()
            .last(seconds)
            .ok_or_else(|| BusError::NotEnabled(off.to_owned()))?;
        self.start_job(Recording::Samples(samples), options, &header, server)
            .await
    }

    /// Reads the configuration again; sessions that exist keep what they began with.
    /// Error.InvalidConfig tells what is wrong with it; the old one goes on then.
    async fn reload(&self) -> Result<(), BusError> {
        Ok(self.hub.reload()?)
    }

    /// Version of the daemon.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// What the daemon can do.
    #[zbus(property(emits_changed_signal = "const"))]
    fn capabilities(&self) -> Vec<&'static str> {
        CAPABILITIES.to_vec()
    }

    /// Seconds of what is said that are kept for TranscribeLast; 0 is none, and no open microphone.
    #[zbus(property)]
    fn pre_capture(&self) -> f64 {
        self.hub.config().audio.pre_capture
    }

    /// Whether it can transcribe: 0 unknown, 1 loading the model, 2 ready, 3 the model is missing
    /// and looked for until it is there, 4 the model cannot be used.
    #[zbus(property)]
    fn state(&self) -> u32 {
        let state = match self.hub.engine().state() {
            EngineState::Loading => ManagerState::Loading,
            EngineState::Ready => ManagerState::Ready,
            EngineState::Missing(_) => ManagerState::Missing,
            EngineState::Failed(_) => ManagerState::Failed,
        };
        state as u32
    }

    /// Why it cannot transcribe; empty where it can.
    #[zbus(property)]
    fn status_message(&self) -> String {
        self.hub.engine().status_message()
    }

    /// Name of the model.
    #[zbus(property)]
    fn model(&self) -> String {
        self.hub.engine().model()
    }

    /// What encodes: cpu, npu, or npu-emulator, which is an NPU's interface without an NPU.
    #[zbus(property)]
    fn backend(&self) -> &'static str {
        self.hub.engine().backend().device.name()
    }

    /// Another device encodes; reason tells why it is the CPU where an NPU was asked for. What was
    /// being said is transcribed all the same.
    #[zbus(signal, name = "BackendChanged")]
    pub(super) async fn backend_has_changed(
        emitter: &SignalEmitter<'_>,
        backend: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}

impl Manager {
    /// Starts a job of the caller's.
    async fn start_job(
        &self,
        recording: Recording,
        options: Options,
        header: &Header<'_>,
        server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        let (owner, wanted) = (
            sender(header)?,
            options::read(self.hub.config(), options, Scope::Jobs)?,
        );
        let number = self.hub.number();
        let job = OwnedJob {
            owner,
            stop: Arc::new(AtomicBool::new(false)),
        };
        self.hub.add_job(number, job.clone());
        let progress = Arc::default();
        let path = job_path(number);
        server
            .at(
                path.as_str(),
                JobObject {
                    job: job.clone(),
                    progress: Arc::clone(&progress),
                },
            )
            .await?;
        job::start(
            self.hub.clone(),
            number,
            recording,
            wanted,
            job.stop,
            progress,
        );
        OwnedObjectPath::try_from(path).map_err(BusError::from)
    }
}
