//! Dynamic namespaces: which names an app serves without knowing them beforehand.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use regex::Regex;
use serde_json::Value;

use crate::app::App;
use crate::marker::{Async, Expression, Sync};
use crate::namespace::Namespace;

/// A pattern and what serves the namespaces whose names it takes.
pub(crate) struct Pattern {
    pub(crate) matcher: Matcher,
    pub(crate) handlers: Rc<Namespace>,
}

type Asked = Box<dyn Fn(String, Option<&str>) -> Pin<Box<dyn Future<Output = bool>>>>;

/// Tells which names are taken.
#[doc(hidden)]
pub enum Matcher {
    /// By the name alone.
    Name(Box<dyn Fn(&str) -> bool>),
    /// By the name and the `auth` of the client that asks, as JSON.
    Asked(Asked),
}

/// What tells the names of dynamic namespaces. `M` is found by inference.
///
/// | pattern | takes a name |
/// |---|---|
/// | [`Regex`] | if it matches: anchor it with `^` and `$`. `\d` takes the digits of all scripts, `[0-9]` those of JavaScript's `\d` |
/// | a closure that takes `&str` | if it returns `true` |
/// | an `async` closure that takes `String` and [`serde_json::Value`] | if it returns `true`; the value is the `auth` of the client that asks, `{}` if it sent none |
///
/// ```
/// # use yamabiko::{App, Namespace, Regex};
/// # async fn is_tenant(_: &str, _: &serde_json::Value) -> bool { true }
/// App::new()
///     .namespace_matching(Regex::new("^/dynamic-[0-9]+$").unwrap(), Namespace::new())
///     .namespace_matching(|name: &str| name.len() == 9, Namespace::new())
///     .namespace_matching(
///         async |name: String, auth: serde_json::Value| is_tenant(&name, &auth["token"]).await,
///         Namespace::new(),
///     );
/// ```
#[diagnostic::on_unimplemented(
    message = "this is no pattern of namespaces' names",
    label = "not a `yamabiko::Regex`, `|name: &str| -> bool` or \
             `async |name: String, auth: serde_json::Value| -> bool`",
    note = "the types of a closure's arguments must be written out"
)]
pub trait NamespacePattern<M> {
    #[doc(hidden)]
    fn matcher(self) -> Matcher;
}

impl NamespacePattern<Expression> for Regex {
    fn matcher(self) -> Matcher {
        Matcher::Name(Box::new(move |name| self.is_match(name)))
    }
}

impl<F> NamespacePattern<Sync<bool>> for F
where
    F: Fn(&str) -> bool + 'static,
{
    fn matcher(self) -> Matcher {
        Matcher::Name(Box::new(self))
    }
}

impl<F> NamespacePattern<Async<bool>> for F
where
    F: AsyncFn(String, Value) -> bool + 'static,
{
    fn matcher(self) -> Matcher {
        let takes = Rc::new(self);
        Matcher::Asked(Box::new(move |name, auth| {
            let takes = Rc::clone(&takes);
            let auth = serde_json::from_str(auth.unwrap_or("{}")).unwrap_or_default();
            Box::pin(async move { takes(name, auth).await })
        }))
    }
}

impl App {
    /// Serves every namespace whose name the pattern takes: Socket.IO's `io.of(/regex/)` and
    /// `io.of((name, auth, next) => …)`. Guards and handlers are declared once for all of them;
    /// [`Socket::namespace`](crate::Socket::namespace) tells which one a socket is in. Their rooms and
    /// broadcasts are apart.
    ///
    /// A name that was given to [`App::namespace`] is not asked about; of several patterns the first that
    /// takes a name serves it. A name that none takes is answered with "Invalid namespace".
    ///
    /// A namespace comes into being when the first client asks for it, on each core by itself: that is when
    /// patterns are asked. Who may join one that is there is a question for its
    /// [guards](Namespace::guard). It goes when its last socket on the node leaves, with the setting
    /// `cleanup_empty_child_namespaces`, or else stays. If nobody was admitted it goes in any case, so that
    /// who is refused leaves nothing behind. There may be `dynamic_namespaces_max` of them on a node; who
    /// asks for one more gets `connect_error` "Too many namespaces", which is counted
    /// (`namespaces_refused`).
    ///
    /// ```
    /// # use yamabiko::{App, Namespace, Regex, Socket};
    /// let tenants = Namespace::new().on("say", |socket: Socket, text: String| {
    ///     tracing::info!(tenant = socket.namespace(), text);
    ///     socket.broadcast().emit("said", &text) // within this tenant
    /// });
    /// App::new().namespace_matching(Regex::new("^/tenant-[0-9]+$").unwrap(), tenants);
    /// ```
    pub fn namespace_matching<M>(
        mut self,
        pattern: impl NamespacePattern<M>,
        namespace: Namespace,
    ) -> Self {
        let handlers = Rc::new(namespace);
        self.patterns.push(Pattern { matcher: pattern.matcher(), handlers });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn takes(matcher: &Matcher, name: &str, auth: Option<&str>) -> bool {
        match matcher {
            Matcher::Name(takes) => takes(name),
            Matcher::Asked(takes) => {
                let mut takes = takes(name.into(), auth);
                match takes.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(takes) => takes,
                    Poll::Pending => panic!("it waits for nothing"),
                }
            }
        }
    }

    #[test]
    fn each_kind_of_pattern_takes_what_it_says() {
        let regex = Regex::new("^/a-[0-9]+$").unwrap().matcher();
        let plain = (|name: &str| name.ends_with('z')).matcher();
        let asked = async |name: String, auth: Value| auth["name"] == name.as_str();
        let asked = asked.matcher();
        for (name, auth, expected) in [
            ("/a-1", None, [true, false, false]),
            ("/a-1/", None, [false, false, false]),
            ("/a-1z", Some(r#"{"name":"/a-1z"}"#), [false, true, true]),
            ("/a-12", Some(r#"{"name":"/a-1"}"#), [true, false, false]),
            ("/z", Some("no JSON"), [false, true, false]),
        ] {
            let taken = [&regex, &plain, &asked].map(|matcher| takes(matcher, name, auth));
            assert_eq!(taken, expected, "{name}");
        }
    }
}
