//! One of each page, for the tests and for people who look at them.

use agentkeys_types::Timestamp;
use url::{Origin, Url};

use super::{
    Asking, CodeFault, Confirm, ConfirmErrand, Device, DeviceFault, Done, EmailCode, EmailFault, EmailField, Errand,
    ErrorPage, Failure, Hidden, Page, ProviderChoice, Shown, ShownIdentity, SignIn, When,
};

/// The texts that come from outside.
pub(crate) struct Words<'a> {
    pub(crate) machine: &'a str,
    pub(crate) label: &'a str,
    pub(crate) value: &'a str,
    pub(crate) detail: &'a str,
    pub(crate) typed: &'a str,
    pub(crate) code: &'a str,
    pub(crate) hidden: &'a str,
}

impl Words<'_> {
    /// Every page under a name of its own.
    pub(crate) fn pages(&self) -> Vec<(String, Page)> {
        let mut pages = self.sign_in();
        pages.extend(self.codes());
        pages.extend(self.confirm());
        pages.extend(self.done());
        pages.extend(Failure::ALL.iter().map(|failure| {
            let has_detail = matches!(failure, Failure::ProviderError | Failure::InvalidRequest);
            let detail = has_detail.then(|| Shown::detail(self.detail)).flatten();
            let request_id = (*failure == Failure::Internal).then(|| Shown::name(self.code)).flatten();
            let page = ErrorPage { failure: *failure, detail, request_id }.page();
            (format!("error-{}", failure.as_str()), page)
        }));
        pages
    }

    fn sign_in(&self) -> Vec<(String, Page)> {
        let email = |fault| Some(EmailField { typed: Shown::value(self.typed), fault });
        let sign_in = |errand, names: &[&str], email| {
            let providers = names.iter().map(|name| ProviderChoice {
                name: name.to_lowercase().parse().expect("a provider's name"),
                label: Shown::name(if *name == "acme" { self.label } else { name }).unwrap_or_default(),
            });
            SignIn { errand, providers: providers.collect(), email, hidden: self.hidden() }.page()
        };
        let command = || Errand::Command { machine: self.machine() };
        let link = Errand::Link { account: self.identity(), machine: self.machine() };
        vec![
            ("sign-in".to_owned(), sign_in(command(), &["Google", "acme"], Some(EmailField::default()))),
            ("sign-in-error".to_owned(), sign_in(command(), &["Google", "acme"], email(Some(EmailFault::Invalid)))),
            ("sign-in-email".to_owned(), sign_in(Errand::Command { machine: None }, &[], email(None))),
            ("sign-in-one".to_owned(), sign_in(command(), &["acme"], None)),
            ("sign-in-device".to_owned(), sign_in(Errand::Device(self.asking()), &["Google"], email(None))),
            ("sign-in-link".to_owned(), sign_in(link, &["acme"], None)),
        ]
    }

    fn codes(&self) -> Vec<(String, Page)> {
        let code = |fault| EmailCode { address: Shown::value(self.value), minutes: 10, fault, hidden: self.hidden() };
        let device = |fault| Device { typed: Shown::value(self.code), fault, hidden: self.hidden() };
        vec![
            ("code".to_owned(), code(None).page()),
            ("code-error".to_owned(), code(Some(CodeFault::Wrong)).page()),
            ("device".to_owned(), Device { hidden: self.hidden(), ..Device::default() }.page()),
            ("device-error".to_owned(), device(Some(DeviceFault::Unknown)).page()),
        ]
    }

    fn confirm(&self) -> Vec<(String, Page)> {
        let confirm = |errand, asking| Confirm { errand, identity: self.identity(), asking, hidden: self.hidden() };
        let command = || ConfirmErrand::Command { returns_to: returns_to() };
        let nameless = Asking { machine: None, ..self.asking() };
        let device = ConfirmErrand::Device;
        let link = ConfirmErrand::Link { account: self.identity() };
        vec![
            ("confirm-command".to_owned(), confirm(command(), self.asking()).page()),
            ("confirm-nameless".to_owned(), confirm(command(), nameless).page()),
            ("confirm-device".to_owned(), confirm(device, self.asking()).page()),
            ("confirm-link".to_owned(), confirm(link, self.asking()).page()),
        ]
    }

    fn done(&self) -> Vec<(String, Page)> {
        let linked = Done::Linked { identity: self.identity(), account: self.identity() };
        vec![
            ("done-command".to_owned(), Done::Command { machine: self.machine() }.page()),
            ("done-device".to_owned(), Done::Device { machine: self.machine() }.page()),
            ("done-linked".to_owned(), linked.page()),
            ("done-refused".to_owned(), Done::Refused.page()),
        ]
    }

    fn machine(&self) -> Option<Shown> {
        Shown::name(self.machine)
    }

    fn identity(&self) -> ShownIdentity {
        ShownIdentity::new(self.label, self.value)
    }

    fn asking(&self) -> Asking {
        let at = Timestamp::from_unix(1_798_106_400);
        let when = When::new(at, Timestamp::from_unix(at.as_unix() + 130));
        Asking { machine: self.machine(), address: [192, 0, 2, 17].into(), when }
    }

    fn hidden(&self) -> Hidden {
        Hidden::new().with("flow", self.hidden).with("csrf", self.hidden)
    }
}

/// Where a command waits in these samples.
pub(crate) fn returns_to() -> Origin {
    Url::parse("http://127.0.0.1:49152/callback").expect("a URL").origin()
}
