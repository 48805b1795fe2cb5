use super::*;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn wish() -> Wish {
    Wish {
        name: "claude".parse().unwrap(),
        roles: BTreeSet::new(),
        audiences: BTreeSet::new(),
        expires: None,
        token_file: TokenFile::Unchanged,
    }
}

fn agent() -> Agent {
    wish().agent(None, None, NOW).unwrap()
}

fn view(agent: &Agent) -> AgentView {
    AgentView {
        name: "claude".parse().unwrap(),
        audiences: wish().granted(None, None, agent),
        created_at: agent.created_at,
        expires_at: agent.expires_at,
    }
}

#[test]
fn a_new_agent_may_have_the_default_role_without_an_end_and_no_jwt_that_nobody_named() {
    let agent = agent();

    assert_eq!((joined(&agent.roles), joined(&agent.audiences)), ("default".into(), "none".into()));
    assert_eq!(wish().granted(None, None, &agent), Audiences::default());
    assert_eq!((agent.expires_at, agent.token_file), (None, None));
}

#[test]
fn jwts_for_aws_are_minted_for_the_roles_and_given_to_the_agent_only_if_named() {
    let (vault, sts): (Audience, _) = ("vault".parse().unwrap(), Audience::aws_sts());
    let naming = |audience: &Audience| {
        let wish = Wish { audiences: BTreeSet::from([audience.clone()]), ..wish() };
        let agent = wish.agent(None, None, NOW).unwrap();
        (joined(&agent.audiences), joined(wish.granted(None, None, &agent).0))
    };

    assert_eq!(naming(&vault), ("vault".into(), "sts.amazonaws.com, vault".into()));
    assert_eq!(naming(&sts), ("sts.amazonaws.com".into(), "sts.amazonaws.com".into()));
}

#[test]
fn an_agent_of_another_machine_has_what_was_named_there_and_loses_nothing_at_the_broker() {
    let vault: Audience = "vault".parse().unwrap();
    let known = AgentView { audiences: Audiences([vault.clone(), Audience::aws_sts()].into()), ..view(&agent()) };

    let here = wish().agent(None, Some(&known), NOW).unwrap();
    let taken_away = wish().agent(Some(&here), Some(&view(&agent())), NOW).unwrap();

    assert_eq!(here.audiences, BTreeSet::from([vault]));
    assert_eq!(wish().granted(None, Some(&known), &here), known.audiences);
    assert_eq!(joined(&taken_away.audiences), "none");
}

#[test]
fn a_jwt_file_that_ends_takes_its_audience_along() {
    let vault: Audience = "vault".parse().unwrap();
    let with = Wish { token_file: TokenFile::For(vault), ..wish() };
    let before = with.agent(None, None, NOW).unwrap();
    let known = AgentView { audiences: with.granted(None, None, &before), ..view(&before) };

    let without = Wish { token_file: TokenFile::None, ..wish() };
    let after = without.agent(Some(&before), Some(&known), NOW).unwrap();

    assert_eq!((joined(&after.audiences), &after.token_file), ("none".into(), &None));
    assert_eq!(without.granted(Some(&before), Some(&known), &after), Audiences::default());
}

#[test]
fn what_is_not_said_stays_as_it_is() {
    let before = Agent {
        roles: BTreeSet::from(["deploy".parse().unwrap()]),
        expires_at: Some(NOW.after(Duration::from_hours(1))),
        token_file: Some(Audience::aws_sts()),
        audiences: Audiences::default().0,
        ..agent()
    };

    let after = wish().agent(Some(&before), Some(&view(&before)), NOW).unwrap();

    assert_eq!(after, before);
    assert_eq!(changes(Some(&before), Some(&view(&before)), &after, &view(&after), NOW), Vec::<String>::new());
}

#[test]
fn the_same_end_said_a_moment_later_is_the_same_end() {
    let before = Agent { expires_at: Some(NOW.after(Duration::from_hours(1))), ..agent() };
    let hour = Wish { expires: Some(Expiry::After(Duration::from_hours(1))), ..wish() };
    let known = view(&before);
    let ends = |now: Timestamp| hour.agent(Some(&before), Some(&known), now).unwrap().expires_at;

    assert_eq!(ends(NOW.after(Duration::from_secs(30))), before.expires_at);
    assert_eq!(ends(NOW.after(Duration::from_mins(30))), Some(NOW.after(Duration::from_mins(90))));
}

#[test]
fn an_agent_whose_time_is_over_is_not_given_more_by_the_way() {
    let before = Agent { expires_at: Some(NOW), ..agent() };

    let refused = wish().agent(Some(&before), Some(&view(&before)), NOW).unwrap_err();
    let for_good = Wish { expires: Some(Expiry::Never), ..wish() }.agent(Some(&before), None, NOW).unwrap();

    assert!(matches!(refused, CliError::Usage(message) if message.contains("--expires")));
    assert_eq!(for_good.expires_at, None);
}

#[test]
fn a_jwt_file_needs_its_audience() {
    let other: Audience = "vault.example.com".parse().unwrap();

    let agent = Wish { token_file: TokenFile::For(other.clone()), ..wish() }.agent(None, None, NOW).unwrap();

    assert_eq!(agent.audiences, BTreeSet::from([other]));
}

#[test]
fn a_change_is_told_with_what_was_before() {
    let before = agent();
    let after = Agent { roles: BTreeSet::from(["deploy".parse().unwrap()]), ..before.clone() };

    let told = changes(Some(&before), Some(&view(&before)), &after, &view(&after), NOW);

    assert_eq!(told, ["roles: deploy (before: default)"]);
}

#[test]
fn an_end_is_a_duration_or_never() {
    assert_eq!("never".parse(), Ok(Expiry::Never));
    assert_eq!("30d".parse(), Ok(Expiry::After(Duration::from_hours(720))));
    for text in ["", "0", "soon", "Never"] {
        assert!(text.parse::<Expiry>().is_err(), "{text}");
    }
}
