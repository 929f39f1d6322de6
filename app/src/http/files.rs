//! The files of a directory: Express's `express.static`, with its defaults.
//!
//! It owns which file a path means and what is said of it. Nothing outside of the directory is ever
//! opened: the kernel resolves the path beneath it (`openat2`, `RESOLVE_BENEATH`), symbolic links
//! included, so there is no moment between a check and its use. Reading happens on threads of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::http::header::{self, HeaderMap, HeaderValue};
use ::http::{Method, StatusCode};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

use super::body::Body;
use super::condition::{Verdict, Version};
use super::failure::Failure;
use super::file_stream::FileStream;
use super::handler::Answering;
use super::into_response::{IntoResponse, Redirect};
use super::origin::Origin;
use super::path::decode;
use super::range::{Wanted, wanted};
use super::{Request, RequestExt, Response};
use crate::blocking;

/// A file up to this size is read in the same go in which it is opened.
const READ_AT_ONCE_BYTES_MAX: u64 = 64 * 1024;

/// The files of a directory, for [`Router::files`](crate::Router::files).
///
/// GET and HEAD are answered with `ETag`, `Last-Modified`, `Cache-Control` and `Accept-Ranges`; conditions
/// and a single range are honoured. A directory is answered with its index file; without the slash at its
/// end it is redirected to there. A path that names no file, a file or directory whose name begins with a
/// dot, and whatever a symbolic link leads to outside of the directory are as if they were not there, so
/// that somebody else may answer, or 404. Absolute symbolic links lead outside.
///
/// ```
/// use yamabiko::{App, Files};
///
/// App::new()
///     .files("/", Files::new("public"))
///     .files("/assets", Files::new("dist").max_age(std::time::Duration::from_secs(31_536_000)).immutable());
/// ```
#[derive(Debug, Clone)]
pub struct Files(Arc<Options>);

#[derive(Debug, Clone)]
struct Options {
    root: PathBuf,
    index: Option<String>,
    dotfiles: Dotfiles,
    max_age: Duration,
    is_immutable: bool,
}

/// What becomes of files and directories whose names begin with a dot: `express.static`'s `dotfiles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dotfiles {
    /// They are as if they were not there.
    #[default]
    Ignore,
    /// They are refused with 403.
    Deny,
    /// They are served as any other.
    Allow,
}

/// What a path was found to be.
enum Found {
    File(Opened),
    /// A directory, asked for without its slash.
    Directory,
    Nothing,
}

struct Opened {
    file: File,
    len: u64,
    modified: Option<SystemTime>,
    /// All of it, if it was read at once.
    content: Option<Vec<u8>>,
}

impl Files {
    /// The files of a directory. It need not be there yet, and may be replaced at any time.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Options {
            root: root.into(),
            index: Some("index.html".into()),
            dotfiles: Dotfiles::default(),
            max_age: Duration::ZERO,
            is_immutable: false,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The file that answers for its directory, instead of `index.html`; none with `None`.
    pub fn index(self, name: Option<&str>) -> Self {
        self.with(|options| options.index = name.map(Into::into))
    }

    /// What becomes of files whose names begin with a dot.
    pub fn dotfiles(self, dotfiles: Dotfiles) -> Self {
        self.with(|options| options.dotfiles = dotfiles)
    }

    /// How long caches may use a file without asking, instead of not at all.
    pub fn max_age(self, time: Duration) -> Self {
        self.with(|options| options.max_age = time)
    }

    /// Tells caches that the files never change, for names that have their version in them.
    pub fn immutable(self) -> Self {
        self.with(|options| options.is_immutable = true)
    }

    pub(crate) fn answer(&self, request: Request) -> Answering {
        let options = Arc::clone(&self.0);
        Box::pin(async move { options.answer(request).await })
    }
}

impl Options {
    async fn answer(self: Arc<Self>, request: Request) -> Result<Response, Failure> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let Some(path) = is_read.then(|| relative(request.uri().path())).flatten() else {
            return Err(Failure::unmatched(request));
        };
        if path.split('/').any(|segment| segment.starts_with('.')) {
            match self.dotfiles {
                Dotfiles::Allow => {}
                Dotfiles::Deny => return Err(StatusCode::FORBIDDEN.into()),
                Dotfiles::Ignore => return Err(Failure::unmatched(request)),
            }
        }
        let reads_at_once = *request.method() == Method::GET && !has_conditions(request.headers());
        let options = Arc::clone(&self);
        let (found, name) = blocking(move || options.find(path, reads_at_once)).await;
        match found? {
            Found::Nothing => Err(Failure::unmatched(request)),
            Found::Directory => redirect_to_directory(&request),
            // The index of the very place where the files are mounted, asked for without its slash.
            Found::File(_) if is_bare(&request) => redirect_to_directory(&request),
            Found::File(opened) => self.send(&request, opened, &name),
        }
    }

    /// Looks for what a path means. Also the path of the file itself.
    fn find(&self, path: String, reads: bool) -> (io::Result<Found>, String) {
        let is_directory = path.is_empty() || path.ends_with('/');
        match &self.index {
            Some(index) if is_directory => {
                let path = format!("{path}{index}");
                (self.open(&path, reads), path)
            }
            None if is_directory => (Ok(Found::Nothing), path),
            _ => (self.open(&path, reads), path),
        }
    }

    fn open(&self, path: &str, reads: bool) -> io::Result<Found> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let opened =
            openat(CWD, &self.root, flags | OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
                .and_then(|root| {
                    // A pipe must not keep the thread waiting for its other end.
                    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
                    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
                    openat2(root, path, flags, Mode::empty(), beneath)
                })
                .map(File::from);
        let file = match opened {
            Ok(file) => file,
            Err(error) => return nothing_or(error.into()),
        };
        let stat = fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Ok(Found::Directory),
            _ => return Ok(Found::Nothing),
        }
        let metadata = file.metadata()?;
        let len = metadata.len();
        let content = match reads && len <= READ_AT_ONCE_BYTES_MAX {
            true => Some(read_all(&file, len)?),
            false => None,
        };
        Ok(Found::File(Opened { file, len, modified: metadata.modified().ok(), content }))
    }

    fn send(&self, request: &Request, opened: Opened, name: &str) -> Result<Response, Failure> {
        let Opened { file, len, modified, content } = opened;
        let version = Version::new(len, modified);
        let mut response = Response::new(Body::empty());
        self.describe(&version, response.headers_mut());
        let headers = request.headers();
        match version.judge(headers) {
            Verdict::Send => {}
            Verdict::NotModified => {
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                return Ok(response);
            }
            Verdict::Failed => return Err(StatusCode::PRECONDITION_FAILED.into()),
        }
        let range = request.header("range").filter(|_| version.allows_range(headers));
        let part = match wanted(range, len) {
            Wanted::All => 0..len,
            Wanted::Part(part) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let value = format!("bytes {}-{}/{len}", part.start, part.end - 1);
                put(response.headers_mut(), header::CONTENT_RANGE, &value);
                part
            }
            Wanted::Nothing => {
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                let mut headers = HeaderMap::new();
                put(&mut headers, header::CONTENT_RANGE, &format!("bytes */{len}"));
                return (status, headers, "Range Not Satisfiable").into_response();
            }
        };
        put(response.headers_mut(), header::CONTENT_TYPE, &content_type(name));
        *response.body_mut() = match content {
            Some(content) => Body::from(content),
            None => FileStream::new(file, part).into_body(),
        };
        Ok(response)
    }

    fn describe(&self, version: &Version, headers: &mut HeaderMap) {
        let immutable = if self.is_immutable { ", immutable" } else { "" };
        let cache = format!("public, max-age={}{immutable}", self.max_age.as_secs());
        put(headers, header::CACHE_CONTROL, &cache);
        put(headers, header::ETAG, &version.etag);
        put(headers, header::ACCEPT_RANGES, "bytes");
        if let Some(modified) = version.modified {
            put(headers, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
    }
}

/// The file's path below the directory. `None` if no file can be called so.
fn relative(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?;
    let decoded = path.split('/').map(|segment| decode(segment).ok());
    let segments: Vec<_> = decoded.collect::<Option<_>>()?;
    // An escaped slash is no part of a name. An empty segment is none, but for the last, which stands for
    // the directory itself: else one file had many paths, and layers of one did not lie around another.
    let is_name = |segment: &str| !segment.contains(['/', '\0']);
    let (last, directories) = segments.split_last()?;
    let is_path = is_name(last) && directories.iter().all(|it| is_name(it) && !it.is_empty());
    is_path.then(|| segments.join("/"))
}

fn has_conditions(headers: &HeaderMap) -> bool {
    let names = [
        header::RANGE,
        header::IF_MATCH,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
        header::IF_UNMODIFIED_SINCE,
    ];
    names.iter().any(|name| headers.contains_key(name))
}

/// Errors that only tell that there is no such file for the client.
fn nothing_or(error: io::Error) -> io::Result<Found> {
    use rustix::io::Errno;
    let nothing = [
        Errno::NOENT,
        Errno::NOTDIR,
        Errno::NAMETOOLONG,
        // What `openat2` says of paths that lead out, and of too many links.
        Errno::XDEV,
        Errno::LOOP,
        // A socket, or a device without driver.
        Errno::NXIO,
        Errno::NODEV,
    ];
    match Errno::from_io_error(&error) {
        Some(errno) if nothing.contains(&errno) => Ok(Found::Nothing),
        _ => Err(error),
    }
}

fn read_all(file: &File, len: u64) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(len).unwrap_or(0)];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

fn is_bare(request: &Request) -> bool {
    Origin::of(request).is_some_and(Origin::is_bare)
}

fn redirect_to_directory(request: &Request) -> Result<Response, Failure> {
    // From the root on, as the client sees it. It begins with one slash and not two, which would name a
    // host: a path with an empty segment names no directory.
    let below = if is_bare(request) { "" } else { request.uri().path() };
    let path = format!("{}{below}/", request.base_url());
    let location = match request.uri().query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut response = Redirect::to(location).into_response()?;
    *response.status_mut() = StatusCode::MOVED_PERMANENTLY;
    Ok(response)
}

fn content_type(name: &str) -> String {
    let guess = mime_guess::from_path(Path::new(name)).first_raw();
    let content_type = guess.unwrap_or("application/octet-stream");
    let is_text = content_type.starts_with("text/")
        || ["application/javascript", "application/json", "application/manifest+json"]
            .contains(&content_type);
    match is_text {
        true => format!("{content_type}; charset=utf-8"),
        false => content_type.to_owned(),
    }
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_file_and_a_file_has_one_path() {
        for (path, file) in [
            ("/", Some("")),
            ("/a.html", Some("a.html")),
            ("/a/b.html", Some("a/b.html")),
            ("/a/", Some("a/")),
            ("/a%20b", Some("a b")),
            ("/%C3%A9", Some("é")),
            ("//a", None),
            ("/a//b", None),
            ("/a%2Fb", None),
            ("/a%00", None),
            ("/a//", None),
        ] {
            assert_eq!(relative(path).as_deref(), file, "{path}");
        }
    }

    #[test]
    fn types_of_text_tell_their_characters() {
        assert_eq!(content_type("a.html"), "text/html; charset=utf-8");
        assert_eq!(content_type("a/b.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("a.json"), "application/json; charset=utf-8");
        assert_eq!(content_type("a.PNG"), "image/png");
        assert_eq!(content_type("a.wasm"), "application/wasm");
        assert_eq!(content_type("LICENSE"), "application/octet-stream");
    }
}
