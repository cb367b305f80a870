//! How an instance of a function comes to life: which program, with which environment, and where its output goes.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::mpsc;

use crate::options::FunctionOptions;
use crate::process::Process;
use crate::proxy::access_key_id;

/// What the functions inherit from the local cloud's own environment; all else would let the machine's AWS profile
/// shine through.
const INHERITED: [&str; 7] =
    ["HOME", "LD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "PATH", "RUST_BACKTRACE", "RUST_LOG", "TMPDIR"];

/// The program that an instance runs.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// A child process: `<program> function <name>`.
    Executable(PathBuf),
    /// A test, which receives the Runtime API's address of each new instance and calls it by plain HTTP.
    #[cfg_attr(not(test), allow(dead_code))]
    Outside(mpsc::UnboundedSender<String>),
}

#[derive(Clone, Debug)]
pub(crate) struct Launcher {
    pub(crate) program: Program,
    /// For all functions.
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) logs: PathBuf,
    pub(crate) verbose: bool,
}

impl Launcher {
    /// Starts an instance of `function` that finds its Runtime API at `runtime_api`. A repeat starts another.
    ///
    /// # Errors
    /// The program cannot be started, or its log file not be opened.
    pub(crate) fn launch(
        &self,
        function: &str,
        options: &FunctionOptions,
        runtime_api: &str,
        instance: &str,
    ) -> io::Result<Process> {
        let program = match &self.program {
            Program::Executable(program) => program,
            Program::Outside(announce) => {
                announce
                    .send(runtime_api.to_owned())
                    .map_err(|_| io::Error::new(io::ErrorKind::NotConnected, "nobody plays the instances' part"))?;
                return Ok(Process::outside());
            }
        };
        let mut command = Command::new(program);
        command.args(["function", function]).env_clear();
        let inherited = INHERITED.iter().filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        command
            .envs(inherited)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // A key of its own, by which its calls are told from others'.
            .env("AWS_ACCESS_KEY_ID", access_key_id(function))
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
            .env("AWS_LAMBDA_FUNCTION_NAME", function)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", options.memory_mb.to_string())
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{function}"))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", instance)
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("_HANDLER", function);
        let (output, errors) = if self.verbose {
            (Stdio::from(io::stderr().as_fd().try_clone_to_owned()?), Stdio::inherit())
        } else {
            let log = self.open_log(function)?;
            (Stdio::from(log.try_clone()?), Stdio::from(log))
        };
        command.stdout(output).stderr(errors);
        Process::spawn(command)
    }

    /// The last `bytes` of what the instances of `function` have printed, if that goes to files.
    pub(crate) fn log_tail(&self, function: &str, bytes: u64) -> String {
        read_tail(&self.log_path(function), bytes).unwrap_or_default()
    }

    /// All that the instances of `function` have printed, if that goes to files, and there is one.
    pub(crate) fn log(&self, function: &str) -> Option<Vec<u8>> {
        std::fs::read(self.log_path(function)).ok()
    }

    fn open_log(&self, function: &str) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.log_path(function))
    }

    fn log_path(&self, function: &str) -> PathBuf {
        self.logs.join(format!("{function}.log"))
    }
}

fn read_tail(path: &Path, bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(bytes);
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    Ok(String::from_utf8_lossy(&tail).into_owned())
}
