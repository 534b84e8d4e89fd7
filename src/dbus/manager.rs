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

/// Details, which later versions may extend.
type Details = HashMap<String, OwnedVariant>;

/// The main object's interface.
pub(super) struct Manager {
    pub hub: Arc<Hub>,
}

#[interface(name = "org.hearken.Hearken1.Manager")]
impl Manager {
    /// Creates a session for the caller. The options override the configuration: device (s);
    /// language (s); languages (as): what detection chooses from; task (s): transcribe or
    /// translate; prompt (s): text that precedes the speech; hotwords (as): names and terms to
    /// expect; spoken_punctuation (b): turn spoken "comma", "new line" and the like into
    /// punctuation; drop_fillers (b): leave out "um" and the like; numbers (s): words or digits;
    /// partials (b); step, longest, nothing_said (d): seconds; pause (d or s): seconds of silence that
    /// end an utterance, or auto: sooner after a finished sentence; captions (b): also broadcast the
    /// text; levels (b): also send the signal Level; reach_back (d): seconds before Start that are
    /// heard too, if audio.pre_capture keeps them for the same device. The configuration's
    /// replacements apply to all text. Unknown options and invalid values fail with
    /// Error.InvalidOption.
    #[zbus(out_args("session"))]
    async fn create_session(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        let owner = sender(&header)?;
        let request = options::read(self.hub.config(), options, Scope::Sessions)?;
        let number = self.hub.number();
        let session = self.hub.create_session(number, owner.clone(), request);
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

    /// Lists the input devices: id, description, whether it is the default. details: monitor (b):
    /// whether it records what an output plays; rate (u) in Hz; channels (u).
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

    /// Lists the models: name, whether it is installed. details: in_use (b).
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

    /// Transcribes the recording that the file descriptor refers to, in any format that `hearken
    /// --file` reads. options: language, languages, task, prompt, hotwords, spoken_punctuation,
    /// drop_fillers, numbers as for CreateSession. Only the caller receives the text. The job fails
    /// if the model is missing.
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

    /// Transcribes the last seconds of audio, or as many as are kept. options as for
    /// TranscribeFile. Fails with Error.NotEnabled if audio.pre_capture is off in the
    /// configuration.
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
                "cannot transcribe {seconds} seconds: give more than 0"
            )));
        }
        let off =
            "pre-capture is off, so no audio was kept; set audio.pre_capture in the configuration";
        let samples = self
            .hub
            .pre_capture()
            .last(seconds)
            .ok_or_else(|| BusError::NotEnabled(off.to_owned()))?;
        self.start_job(Recording::Samples(samples), options, &header, server)
            .await
    }

    /// Reads the configuration again; existing sessions keep their settings. If the configuration
    /// is invalid, the call fails with Error.InvalidConfig and the old one stays in use.
    async fn reload(&self) -> Result<(), BusError> {
        Ok(self.hub.reload()?)
    }

    /// Version of the daemon.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Features that this version supports.
    #[zbus(property(emits_changed_signal = "const"))]
    fn capabilities(&self) -> Vec<&'static str> {
        CAPABILITIES.to_vec()
    }

    /// Seconds of audio kept for TranscribeLast. If 0, nothing is kept and the microphone stays
    /// closed between sessions.
    #[zbus(property)]
    fn pre_capture(&self) -> f64 {
        self.hub.config().audio.pre_capture
    }

    /// Whether the daemon can transcribe: 0 unknown, 1 loading the model, 2 ready, 3 model missing;
    /// ready once it is installed, 4 model unusable.
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

    /// Why the daemon cannot transcribe; empty if it can or is still loading the model.
    #[zbus(property)]
    fn status_message(&self) -> String {
        self.hub.engine().status_message()
    }

    /// Name of the model.
    #[zbus(property)]
    fn model(&self) -> String {
        self.hub.engine().model()
    }

    /// Where the encoder runs: cpu, npu, or npu-emulator (no NPU, for tests).
    #[zbus(property)]
    fn backend(&self) -> &'static str {
        self.hub.engine().backend().device.name()
    }

    /// The encoder runs on another device now. reason: why that is the CPU although an NPU was
    /// requested. No speech is lost.
    #[zbus(signal, name = "BackendChanged")]
    pub(super) async fn backend_has_changed(
        emitter: &SignalEmitter<'_>,
        backend: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}

impl Manager {
    /// Starts a job for the caller.
    async fn start_job(
        &self,
        recording: Recording,
        options: Options,
        header: &Header<'_>,
        server: &ObjectServer,
    ) -> Result<OwnedObjectPath, BusError> {
        let owner = sender(header)?;
        let request = options::read(self.hub.config(), options, Scope::Jobs)?;
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
            request,
            job.stop,
            progress,
        );
        OwnedObjectPath::try_from(path).map_err(BusError::from)
    }
}
