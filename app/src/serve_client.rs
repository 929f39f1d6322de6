//! The official client's bundle under `<path>/socket.io.js` and its siblings, Socket.IO's `serveClient`.
//!
//! The files are the operator's (npm's package `socket.io-client`, or `socket.io`, which ships them as
//! `client-dist`); none is in this repository. They are read and compressed once, before the shards start,
//! and shared by all of them.
//!
//! Held against Node (socket.io 4.8.4) two things differ, on purpose: `Vary: Accept-Encoding` is there, so
//! that no cache hands a compressed file to who cannot read it, and a client that accepts `br` gets it
//! wherever in its list it stands.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::http::StatusCode;
use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Deserialize;
use yamabiko_protocol::http::{Encoding, Head, accepted_encoding, is_not_modified};
use yamabiko_runtime::HttpReply;

/// The files Node serves.
const NAMES: [&str; 4] =
    ["socket.io.js", "socket.io.min.js", "socket.io.msgpack.min.js", "socket.io.esm.min.js"];
/// Places where npm puts the bundle, below the working directory.
const USUAL_PLACES: [&str; 4] = [
    "node_modules/socket.io/client-dist",
    "node_modules/socket.io-client/dist",
    "app/tests/interop/node_modules/socket.io-client/dist",
    "app/tests/browser/node_modules/socket.io-client/dist",
];
/// In the server's order of preference.
const OFFERED: [Encoding; 3] = [Encoding::Brotli, Encoding::Gzip, Encoding::Deflate];

/// The bundle in memory. Clones share it.
#[derive(Debug, Clone)]
pub struct Bundle(Arc<Files>);

#[derive(Debug)]
struct Files {
    etag: String,
    files: HashMap<String, File>,
}

#[derive(Debug)]
struct File {
    content_type: &'static str,
    plain: Bytes,
    compressed: [Bytes; OFFERED.len()],
}

impl Bundle {
    /// Loads the bundle from a directory: a `dist` or `client-dist`, the package it is in, or a
    /// `node_modules` with it.
    ///
    /// # Errors
    /// There is no `socket.io.js` there, no `package.json` that tells its version, or a file cannot be
    /// read.
    pub fn load(directory: &Path) -> io::Result<Self> {
        let below = ["", "dist", "client-dist", "socket.io-client/dist", "socket.io/client-dist"];
        let directory = below
            .iter()
            .map(|place| directory.join(place))
            .find(|directory| directory.join(NAMES[0]).is_file())
            .ok_or_else(|| {
                let text = format!("no {} in {}", NAMES[0], directory.display());
                io::Error::new(io::ErrorKind::NotFound, text)
            })?;
        let version = version(&directory)?;
        let mut files = HashMap::new();
        for name in NAMES.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.map")]) {
            let path = directory.join(&name);
            if path.is_file() {
                files.insert(name.clone(), File::load(&path, name.ends_with(".map"))?);
            }
        }
        Ok(Self(Arc::new(Files { etag: format!("\"{version}\""), files })))
    }

    /// Loads the bundle from where npm usually puts it, if it is there.
    pub fn find() -> Option<(PathBuf, Self)> {
        USUAL_PLACES
            .iter()
            .map(PathBuf::from)
            .find_map(|place| Some((place.clone(), Self::load(&place).ok()?)))
    }

    /// Answers a request for one of the files below the Engine.IO path, whatever its method and query.
    pub(crate) fn serve(&self, path: &str, head: &Head<'_>) -> Option<HttpReply> {
        let name = head.path().strip_prefix(path)?.strip_prefix('/')?;
        let file = self.0.files.get(name)?;
        if is_not_modified(head.header("if-none-match"), &self.0.etag) {
            return Some(HttpReply { status: StatusCode::NOT_MODIFIED, ..HttpReply::default() });
        }
        let encoding = accepted_encoding(head.header("accept-encoding"), &OFFERED);
        let mut headers = HeaderMap::new();
        put(&mut headers, header::CACHE_CONTROL, "public, max-age=0");
        put(&mut headers, header::CONTENT_TYPE, file.content_type);
        put(&mut headers, header::ETAG, &self.0.etag);
        let compressed = OFFERED.iter().position(|offered| *offered == encoding);
        if compressed.is_some() {
            put(&mut headers, header::CONTENT_ENCODING, encoding.name());
        }
        put(&mut headers, header::VARY, "Accept-Encoding");
        let body = compressed.map_or(&file.plain, |index| &file.compressed[index]).clone();
        Some(HttpReply { status: StatusCode::OK, headers, body })
    }
}

/// A version that no header could have is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl File {
    fn load(path: &Path, is_map: bool) -> io::Result<Self> {
        let plain = std::fs::read(path)?;
        let compressed = [brotli(&plain)?, gzip(&plain)?, deflate(&plain)?];
        let content_type = match is_map {
            true => "application/json; charset=utf-8",
            false => "application/javascript; charset=utf-8",
        };
        Ok(Self { content_type, plain: plain.into(), compressed })
    }
}

/// The version in the `package.json` beside the directory, or in it.
fn version(directory: &Path) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Package {
        version: String,
    }
    let candidates = [directory.join("../package.json"), directory.join("package.json")];
    let path = candidates.iter().find(|path| path.is_file()).ok_or_else(|| {
        let text = format!("no package.json beside {}, so no version", directory.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    let package: Package = serde_json::from_slice(&std::fs::read(path)?)?;
    Ok(package.version)
}

fn brotli(bytes: &[u8]) -> io::Result<Bytes> {
    let mut out = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut out, 4096, 5, 22);
    writer.write_all(bytes)?;
    drop(writer);
    Ok(out.into())
}

fn gzip(bytes: &[u8]) -> io::Result<Bytes> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes)?;
    writer.finish().map(Bytes::from)
}

fn deflate(bytes: &[u8]) -> io::Result<Bytes> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes)?;
    writer.finish().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use yamabiko_protocol::http::HeadParser;
    use yamabiko_protocol::limits::HttpLimits;

    use super::*;

    fn bundle(test: &str) -> (PathBuf, Bundle) {
        let package = std::env::temp_dir().join(format!("yamabiko-{test}-{}", std::process::id()));
        std::fs::create_dir_all(package.join("dist")).unwrap();
        std::fs::write(package.join("package.json"), r#"{"version":"4.8.3"}"#).unwrap();
        std::fs::write(package.join("dist/socket.io.js"), "var io;".repeat(100)).unwrap();
        std::fs::write(package.join("dist/socket.io.js.map"), "{}").unwrap();
        let bundle = Bundle::load(&package).unwrap();
        (package, bundle)
    }

    fn ask(bundle: &Bundle, target: &str, headers: &str) -> Option<HttpReply> {
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let limits = HttpLimits::default();
        let (head, _) = HeadParser::default().parse(text.as_bytes(), &limits).unwrap().unwrap();
        bundle.serve("/socket.io", &head)
    }

    #[test]
    fn files_have_nodes_headers() {
        let (package, bundle) = bundle("headers");
        let reply = ask(&bundle, "/socket.io/socket.io.js?x=1", "").unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.body, "var io;".repeat(100));
        for (name, value) in [
            ("Cache-Control", "public, max-age=0"),
            ("Content-Type", "application/javascript; charset=utf-8"),
            ("ETag", "\"4.8.3\""),
        ] {
            assert_eq!(reply.headers[name], value, "{name}");
        }
        let map = ask(&bundle, "/socket.io/socket.io.js.map", "").unwrap();
        assert_eq!(map.headers["content-type"], "application/json; charset=utf-8");
        assert!(ask(&bundle, "/socket.io/other.js", "").is_none());
        assert!(ask(&bundle, "/socket.io/../package.json", "").is_none());
        std::fs::remove_dir_all(package).unwrap();
    }

    #[test]
    fn the_version_is_the_tag() {
        let (package, bundle) = bundle("tag");
        for tag in ["\"4.8.3\"", "W/\"4.8.3\""] {
            let reply =
                ask(&bundle, "/socket.io/socket.io.js", &format!("If-None-Match: {tag}\r\n"))
                    .unwrap();
            assert_eq!((reply.status.as_u16(), reply.headers.len(), reply.body.len()), (304, 0, 0));
        }
        std::fs::remove_dir_all(package).unwrap();
    }

    #[test]
    fn bodies_are_compressed_as_the_client_likes() {
        let (package, bundle) = bundle("compressed");
        let reply = |accept: &str| {
            let headers = format!("Accept-Encoding: {accept}\r\n");
            ask(&bundle, "/socket.io/socket.io.js", &headers).unwrap()
        };
        let expected = "var io;".repeat(100);
        let mut text = String::new();
        let gzip = reply("gzip, deflate");
        assert_eq!(gzip.headers["content-encoding"], "gzip");
        flate2::read::GzDecoder::new(&gzip.body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
        text.clear();
        let br = reply("gzip, deflate, br");
        assert_eq!(br.headers["content-encoding"], "br");
        brotli::Decompressor::new(&br.body[..], 4096).read_to_string(&mut text).unwrap();
        assert_eq!(text, expected);
        text.clear();
        flate2::read::ZlibDecoder::new(&reply("deflate").body[..])
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, expected);
        std::fs::remove_dir_all(package).unwrap();
    }

    #[test]
    fn a_directory_without_the_bundle_is_an_error() {
        let error = Bundle::load(Path::new("/nonexistent")).unwrap_err();
        assert!(error.to_string().contains("socket.io.js"));
    }
}
