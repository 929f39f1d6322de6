//! What handlers ask a request, beside what `http::Request` tells itself.

use std::future::Future;
use std::net::SocketAddr;
use std::str::FromStr;

use ::http::header::{self, HeaderMap};
use ::http::{StatusCode, Uri};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use yamabiko_runtime::Client;

use super::Request;
use super::failure::Failure;
use super::origin::Origin;

/// What Express keeps at `req`: parameters, query, body, where the router is mounted.
///
/// ```
/// use serde::Deserialize;
/// use yamabiko::{App, Failure, Json, RequestExt};
///
/// #[derive(Deserialize)]
/// struct Paging {
///     #[serde(default)]
///     offset: usize,
/// }
///
/// App::new()
///     .get("/rooms/{room}/lines", async |request| -> Result<_, Failure> {
///         let room: String = request.param("room")?;
///         let Paging { offset } = request.query()?;
///         Ok(format!("lines of {room} from {offset} on"))
///     })
///     .post("/rooms/{room}/lines", async |mut request| -> Result<_, Failure> {
///         let lines: Vec<String> = request.json().await?;
///         Ok(Json(lines.len()))
///     });
/// ```
pub trait RequestExt: sealed::Sealed {
    /// What stood at `{name}` or `{*name}` in the path, decoded and read as `T`. Of several by one name the
    /// innermost counts.
    ///
    /// # Errors
    /// 400 if it is no `T`; 500 if the route has no such parameter.
    fn param<T: FromStr>(&self, name: &str) -> Result<T, Failure>;

    /// All parameters of the path, the outermost first, decoded.
    fn params(&self) -> impl Iterator<Item = (&str, &str)>;

    /// The query string, read by serde. A member that is a list takes all values of its name.
    ///
    /// # Errors
    /// 400 if it is no `T`.
    fn query<T: DeserializeOwned>(&self) -> Result<T, Failure>;

    /// The first header of that name, if it is text.
    fn header(&self, name: &str) -> Option<&str>;

    /// Where the router that handles this is mounted: `/chat` for one mounted there, empty for the
    /// outermost. `uri()` tells the path from there on.
    fn base_url(&self) -> &str;

    /// The target as the client sent it.
    fn original_url(&self) -> &Uri;

    /// The client's address; behind a proxy, the proxy's, unless the server trusts it to name its clients
    /// (options `proxy-protocol` and `forwarded-for`).
    fn peer(&self) -> SocketAddr;

    /// The client, to learn whether it still waits. `None` once the body was replaced by another.
    fn client(&self) -> Option<Client>;

    /// The whole body. It is gone afterwards.
    ///
    /// # Errors
    /// As [`Body::next`](crate::Body::next).
    fn bytes(&mut self) -> impl Future<Output = Result<Bytes, Failure>>;

    /// The whole body as text.
    ///
    /// # Errors
    /// As [`Self::bytes`], and 400 if it is not UTF-8.
    fn text(&mut self) -> impl Future<Output = Result<String, Failure>>;

    /// The body, read from JSON.
    ///
    /// # Errors
    /// As [`Self::bytes`]; 415 if its type is not `application/json` or `…+json`, 400 if it is not JSON,
    /// 422 if it is no `T`.
    fn json<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<T, Failure>>;

    /// The body of an HTML form, read by serde. A member that is a list takes all values of its name.
    ///
    /// # Errors
    /// As [`Self::bytes`]; 415 if its type is not `application/x-www-form-urlencoded`, 422 if it is no `T`.
    fn form<T: DeserializeOwned>(&mut self) -> impl Future<Output = Result<T, Failure>>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Request {}
}

impl RequestExt for Request {
    fn param<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let params = Origin::of(self).map_or(&[][..], |origin| &origin.params);
        let Some((_, value)) = params.iter().rev().find(|(other, _)| &**other == name) else {
            return Err(Failure::of(format!("the route has no parameter {name:?}")));
        };
        let message = || format!("{name} in the path is not what it should be");
        value.parse().map_err(|_| Failure::new(StatusCode::BAD_REQUEST, message()))
    }

    fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = Origin::of(self).map_or(&[][..], |origin| &origin.params);
        params.iter().map(|(name, value)| (&**name, &**value))
    }

    fn query<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_html_form::from_str(self.uri().query().unwrap_or("")).map_err(|error| {
            Failure::new(StatusCode::BAD_REQUEST, format!("the query string: {error}"))
        })
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    fn base_url(&self) -> &str {
        Origin::of(self).map_or("", Origin::base_url)
    }

    fn original_url(&self) -> &Uri {
        Origin::of(self).map_or(self.uri(), |origin| &origin.original)
    }

    fn peer(&self) -> SocketAddr {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Origin::of(self).map_or(unknown, |origin| origin.peer)
    }

    fn client(&self) -> Option<Client> {
        self.body().client().cloned()
    }

    async fn bytes(&mut self) -> Result<Bytes, Failure> {
        self.body_mut().take().bytes().await
    }

    async fn text(&mut self) -> Result<String, Failure> {
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into())
            .map_err(|_| Failure::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
    }

    async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        expect_type(self.headers(), "application/json", |essence| {
            essence.eq_ignore_ascii_case("application/json")
                || essence.len() > 5 && essence[essence.len() - 5..].eq_ignore_ascii_case("+json")
        })?;
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let status = match error.is_data() {
                true => StatusCode::UNPROCESSABLE_ENTITY,
                false => StatusCode::BAD_REQUEST,
            };
            Failure::new(status, format!("the body: {error}"))
        })
    }

    async fn form<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let form = "application/x-www-form-urlencoded";
        expect_type(self.headers(), form, |essence| essence.eq_ignore_ascii_case(form))?;
        let bytes = self.bytes().await?;
        serde_html_form::from_bytes(&bytes).map_err(|error| {
            Failure::new(StatusCode::UNPROCESSABLE_ENTITY, format!("the form: {error}"))
        })
    }
}

/// Also keeps a page of another origin from sending what looks like it without asking: browsers ask first
/// for any type that a form cannot have.
fn expect_type(
    headers: &HeaderMap,
    expected: &str,
    is_it: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or("").split(';').next().unwrap_or("").trim();
    match essence.is_ascii() && is_it(essence) {
        true => Ok(()),
        false => Err(Failure::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the body's Content-Type should be {expected}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::http::body::Body;
    use crate::http::origin::param;
    use crate::http::testing::{now, request};

    #[derive(Debug, Deserialize, PartialEq)]
    struct Wanted {
        name: String,
        #[serde(default)]
        tag: Vec<u8>,
    }

    fn posted(content_type: &str, body: &'static str) -> Request {
        let mut request = request("POST", "/?name=q");
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        *request.body_mut() = Body::from(body);
        request
    }

    fn status<T>(result: Result<T, Failure>) -> u16 {
        result.err().expect("it fails").status().as_u16()
    }

    #[test]
    fn bodies_are_read_as_what_they_say_they_are() {
        let ann = Wanted { name: "ann".into(), tag: vec![1, 2] };
        for content_type in
            ["application/json", "Application/JSON; charset=utf-8", "application/x.y+json"]
        {
            let mut request = posted(content_type, r#"{"name":"ann","tag":[1,2]}"#);
            assert_eq!(now(request.json::<Wanted>()).unwrap(), ann, "{content_type}");
        }
        let mut form = posted("application/x-www-form-urlencoded", "name=ann&tag=1&tag=2");
        assert_eq!(now(form.form::<Wanted>()).unwrap(), ann);
        assert_eq!(now(form.bytes()).unwrap(), "", "it was read");
    }

    #[test]
    fn what_is_not_as_it_says_is_refused() {
        let json = |content_type, body| status(now(posted(content_type, body).json::<Wanted>()));
        assert_eq!(json("text/plain", "{}"), 415);
        assert_eq!(json("application/jsonx", "{}"), 415);
        assert_eq!(json("json", "{}"), 415);
        assert_eq!(json("application/json", "{"), 400);
        assert_eq!(json("application/json", "{}"), 422);
        let form = |content_type, body| status(now(posted(content_type, body).form::<Wanted>()));
        assert_eq!(form("application/json", "name=a"), 415);
        assert_eq!(form("application/x-www-form-urlencoded", "nam=a"), 422);
        assert_eq!(form("application/x-www-form-urlencoded", "name=a&tag=x"), 422);
        assert_eq!(status(request("GET", "/?tag=1").query::<Wanted>()), 400);
        let mut deep = "[".repeat(100_000);
        deep.push_str(&"]".repeat(100_000));
        let mut request = posted("application/json", "");
        *request.body_mut() = Body::from(deep);
        assert_eq!(status(now(request.json::<serde_json::Value>())), 400);
    }

    #[test]
    fn parameters_are_read_as_their_type_and_the_innermost_counts() {
        let mut request = request("GET", "/");
        Origin::keep(&mut request, vec![param("id", "1"), param("id", "2"), param("n", "%C3%A9")]);
        assert_eq!(request.param::<u8>("id").unwrap(), 2);
        assert_eq!(request.param::<String>("n").unwrap(), "é");
        assert_eq!(status(request.param::<u8>("n")), 400);
        assert_eq!(status(request.param::<u8>("other")), 500);
        assert_eq!(request.params().collect::<Vec<_>>(), [("id", "1"), ("id", "2"), ("n", "é")]);
    }
}
