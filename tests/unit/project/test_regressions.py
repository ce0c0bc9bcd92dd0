"""Faults that systems of the same kind have had, and the tests that show that Keyturn has none of them.

Each test names the advisory or issue that it is about, in its own words or its file's.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/asvs.md").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong elsewhere: under which names it is known, and which tests are about it.

    `waits`: the capability that it would be a fault of, where there is none yet; the tests show what holds already.
    """

    number: int
    what: str
    ids: tuple[str, ...]
    tests: tuple[str, ...]
    waits: str = ""


FAULTS = (
    Fault(
        1,
        "parallel refreshes of one token made several lineages",
        ("CVE-2026-1035",),
        (
            "races/test_processes.py::test_one_refresh_token_has_one_successor",
            "store/test_races.py::test_one_refresh_token_turns_once",
        ),
    ),
    Fault(
        2,
        "a revoked token was valid again after a restart",
        ("CVE-2026-9802",),
        (
            "flows/test_revocation.py::test_cold_container_denies_what_the_last_one_revoked",
            "rehearsal/test_flow.py::test_revocation_outlives_containers",
            "flows/test_session_cookies.py::test_cookie_stands_for_the_user",
        ),
    ),
    Fault(
        3,
        "another way to try a password did not count",
        ("CVE-2026-9798",),
        (
            "flows/test_log_in.py::test_every_way_to_try_a_password_counts_on_one_limiter",
            "http/test_guarded.py::test_password_guesses_count_on_one_limiter",
            "flows/test_provider_limits.py::test_logins_at_providers_are_counted",
            "flows/test_first_password.py::test_first_password_counts_on_the_limiter",
            "flows/test_known_devices.py::test_wrong_guesses_at_a_password_change_are_held_back",
        ),
    ),
    Fault(
        4,
        "an address was swapped while an identity was linked, or the proof was of another identity",
        ("GHSA-xhpr-465j-7p9q", "CVE-2026-9087"),
        (
            "flows/test_identities.py::test_address_that_is_not_proven_to_be_the_accounts_proves_nothing",
            "flows/test_identity_sessions.py::test_session_that_ended_links_nothing",
            "http/test_identities.py::test_link_is_of_the_session_that_asked",
        ),
    ),
    Fault(
        5,
        "the attacker named the issuer",
        ("CVE-2026-31813",),
        (
            "http/test_hostile_headers.py::test_issuer_comes_from_configuration",
            "unit/crypto/test_id_tokens.py::test_issuer_is_one_of_the_configured",
        ),
    ),
    Fault(
        6,
        "a header named the host of mailed links",
        ("GHSA-3529-5m8x-rpv3",),
        (
            "http/test_addresses_and_links.py::test_links_are_of_configuration",
            "http/test_hostile_headers.py::test_other_hosts_name",
        ),
        waits="mail",
    ),
    Fault(
        7,
        "codes and states were taken twice",
        ("Supabase #2612", "Supabase #2483", "better-auth #8067", "CVE-2026-22751"),
        (
            "races/test_processes.py::test_one_state_begins_one_session",
            "http/test_federation.py::test_parallel_callbacks",
            "store/test_races.py::test_one_transaction_is_taken_once",
            "flows/test_federation.py::test_login_is_finished_once",
            "flows/test_federation.py::test_code_is_exchanged_once",
        ),
    ),
    Fault(
        8,
        "mailed tokens lived on after the address had changed",
        ("regressions 8",),
        ("http/test_addresses_and_links.py::test_two_routes_take_an_address",),
        waits="email change",
    ),
    Fault(
        9,
        "somebody signed up with another's address, and kept the account when its owner came",
        ("better-auth #9578",),
        (
            "flows/test_arrivals.py::test_unproven_account_is_its_owners",
            "http/test_federation.py::test_owner_arrives_after_a_squatter",
        ),
    ),
    Fault(
        10,
        "the limiter was passed by other addresses of one network, other spellings of a path, or a header",
        ("CVE-2026-45364", "GHSA-x732-6j76-qmhm", "CVE-2023-36456"),
        (
            "http/test_signup_and_login.py::test_limiter_goes_by_the_connection",
            "http/test_signup_and_login.py::test_limiter_takes_ipv6_by_network",
            "unit/domain/test_limits.py::test_bucket_is_what_one_party_controls",
        ),
    ),
    Fault(
        11,
        "a login at a provider was finished by another browser",
        ("CVE-2025-68481", "CVE-2025-14546", "CVE-2025-68158"),
        (
            "flows/test_federation.py::test_other_browser_is_refused",
            "http/test_federation.py::test_callback_in_another_browser",
        ),
    ),
    Fault(
        12,
        "PKCE was skipped by leaving the verifier out",
        ("CVE-2023-48228",),
        (
            "flows/test_federation.py::test_code_needs_all_that_belongs_to_it",
            "http/test_federation.py::test_exchange_that_does_not_fit",
        ),
    ),
    Fault(
        13,
        "refresh tokens lived on after the password had changed",
        ("CVE-2026-22706",),
        (
            "flows/test_revocation.py::test_password_change_ends_every_other_session",
            "flows/test_interleavings.py::test_nothing_of_the_old_state_is_accepted",
        ),
    ),
    Fault(
        14,
        "a malformed cookie was a pass",
        ("CVE-2026-25748",),
        (
            "http/test_hostile_headers.py::test_malformed_cookie",
            "http/test_session_transport.py::test_hostile_cookie",
            "unit/web/test_request.py::test_malformed_cookies_are_absent",
        ),
    ),
    Fault(
        15,
        "people gave rights to themselves",
        ("CVE-2026-27946",),
        (
            "flows/test_transports.py::test_nobody_gives_himself_rights",
            "http/test_signup_and_login.py::test_self_set_rights",
            "http/test_hostile_bodies.py::test_unknown_member",
        ),
    ),
    Fault(
        16,
        "null passed a check that a value does not",
        ("CVE-2026-34574",),
        (
            "flows/test_transports.py::test_null_is_no_value",
            "http/test_hostile_bodies.py::test_member_of_a_wrong_type",
            "unit/crypto/test_access_tokens.py::test_no_claim_may_be_null",
        ),
    ),
    Fault(
        17,
        "the time of an answer told who has an account",
        ("CVE-2024-39329", "CVE-2026-39321"),
        ("flows/test_enumeration.py::test_every_refusal_takes_the_same_steps",),
    ),
    Fault(
        18,
        "an unknown provider's name was looked up at great cost",
        ("CVE-2026-33538",),
        (
            "flows/test_federation.py::test_unknown_provider_is_looked_up_nowhere",
            "http/test_federation.py::test_provider_that_is_off",
        ),
    ),
    Fault(
        19,
        "lists were taken for addresses, odd URLs hung the service or led elsewhere",
        ("CVE-2022-35924", "CVE-2022-31093"),
        (
            "flows/test_arrivals.py::test_identity_without_a_usable_address_makes_no_account",
            "flows/test_federation.py::test_page_is_compared_exactly",
            "rehearsal/test_federation.py::test_open_redirect",
        ),
    ),
    Fault(
        20,
        "token libraries were led astray by key ids, algorithms, critical headers and parts of an issuer",
        ("CVE-2026-48524", "CVE-2026-48523", "CVE-2026-32597", "GHSA-75c5-xw7c-p5pm", "CVE-2022-29217"),
        (
            "unit/crypto/test_access_token_forgeries.py::test_random_kids_cause_one_read",
            "unit/crypto/test_access_token_forgeries.py::test_one_algorithm_a_key",
            "unit/crypto/test_access_token_forgeries.py::test_critical_extensions_are_refused",
            "unit/crypto/test_access_tokens.py::test_issuer_is_compared_whole",
            "unit/crypto/test_access_token_forgeries.py::test_public_key_is_no_secret",
        ),
    ),
    Fault(
        21,
        "a token brought its own key",
        ("CVE-2026-27962",),
        (
            "unit/crypto/test_access_token_forgeries.py::test_keys_are_never_read_from_the_header",
            "unit/crypto/test_id_token_forgeries.py::test_keys_are_never_read_from_the_header",
            "providers/test_hostile_tokens.py::test_key_of_the_header",
        ),
    ),
    Fault(
        22,
        "an authorizer's kept answer opened or shut another route; a function ran for nobody",
        ("serverless #6176",),
        (
            "http/test_guarded.py::test_cached_authorizer_answer_serves_every_route",
            "unit/functions/test_authorizer.py::test_bearer_is_let_through",
            "unit/web/test_request.py::test_absent_principal_is_refused",
            "rehearsal/test_guarded_orders.py::test_two_routes_with_one_token",
        ),
    ),
    Fault(
        23,
        "the loser of a race between tabs logged the winner out; or a grace took any old token",
        ("auth-js #213", "keycloak #14122", "okta-auth-js #717", "django-oauth-toolkit #1617"),
        (
            "http/test_refresh.py::test_loser_of_a_race_gets_the_same_successor",
            "flows/test_transports.py::test_loser_of_a_race_gets_the_winners_cookie",
            "flows/test_refresh.py::test_losers_of_a_race_get_the_same_successor",
            "flows/test_refresh.py::test_only_the_immediate_predecessor_is_answered",
        ),
    ),
    Fault(
        24,
        "no frontend could read why the authorizer had refused it",
        ("laardee #47",),
        ("http/test_cors.py::test_gateways_own_answers",),
    ),
    Fault(
        25,
        "a changed setting left two cookies, and a loop of refreshes",
        ("supertokens-node #826",),
        (
            "http/test_refresh.py::test_samesite_by_configuration",
            "unit/web/test_responses.py::test_cookie_is_cleared_however_it_was_set",
            "unit/web/test_request.py::test_two_cookies_are_none",
        ),
    ),
    Fault(
        26,
        "scanners that open mailed links used them up",
        ("better-auth #9690",),
        ("http/test_addresses_and_links.py::test_opening_a_link_uses_nothing_up",),
        waits="mail",
    ),
    Fault(
        27,
        "an address was gone before the new one was proven",
        ("amplify-js #987",),
        (
            "http/test_addresses_and_links.py::test_two_routes_take_an_address",
            "http/test_addresses_and_links.py::test_address_of_a_provider_replaces_none",
        ),
        waits="email change",
    ),
    Fault(
        28,
        "one person with two ways in became two users",
        ("amplify-js #3899",),
        ("flows/test_arrivals.py::test_verified_address_links_to_the_proven_account",),
    ),
    Fault(
        29,
        "tabs that restored together were taken for a thief",
        ("supabase/auth #1318", "auth0/nextjs-auth0 #142"),
        (
            "flows/test_refresh.py::test_tabs_in_any_order_lose_nothing",
            "flows/test_refresh.py::test_tabs_that_restore_together_lose_nothing",
        ),
    ),
    Fault(
        30,
        "a lost answer and a phone that slept logged its owner out",
        ("supabase-flutter #459", "supabase #9668"),
        (
            "flows/test_late_answers.py::test_own_device_is_answered_late",
            "flows/test_late_answers.py::test_lost_late_answer_is_given_again",
            "flows/test_late_answers.py::test_late_answers_never_follow_each_other",
        ),
    ),
    Fault(
        31,
        "times with a fraction, large tokens, a key listed twice and EdDSA's new name ended logins at a provider",
        (
            "panva/openid-client #263",
            "authlib #801",
            "akhq #2383",
            "keycloak #49472",
            "panva/jose #392",
            "authlib #785",
            "pyjwt #1190",
            "rauthy #1663",
        ),
        (
            "providers/test_flow.py::test_times_with_a_fraction",
            "unit/crypto/test_id_tokens.py::test_times_and_their_leeway",
            "providers/test_flow.py::test_token_of_any_length",
            "unit/crypto/test_id_token_forgeries.py::test_longer_tokens_are_not_even_read",
            "unit/crypto/test_id_token_keys.py::test_key_that_is_listed_twice_is_one_key",
            "unit/crypto/test_id_token_keys.py::test_new_name_of_eddsa",
        ),
    ),
    Fault(
        32,
        "a key endpoint answered 406 to a narrow Accept; interim answers were taken as final; nameless keys rotated",
        ("panva/openid-client #466", "snoyberg/http-client #521", "auth0/jwks-rsa-java #277"),
        (
            "providers/test_hostile_tokens.py::test_rotated_keys_without_a_name",
            "unit/crypto/test_id_token_keys.py::test_key_that_took_anothers_place_is_read",
            "providers/test_http.py::test_request_says_what_it_takes",
            "providers/test_http.py::test_endpoint_that_answers_406",
            "providers/test_http.py::test_interim_answers_are_passed_over",
        ),
    ),
    Fault(
        33,
        "a login ended where email_verified was missing and userinfo failed",
        ("coder #6922", "camunda #58310"),
        (
            "providers/test_userinfo.py::test_userinfo_that_fails",
            "providers/test_userinfo.py::test_userinfo_that_refuses",
            "providers/test_userinfo.py::test_void_userinfo_proves_nothing",
            "http/test_federation.py::test_address_that_userinfo_does_not_prove",
        ),
    ),
    Fault(
        34,
        "prefetches counted as logins",
        ("next.js #38128",),
        (
            "http/test_navigations.py::test_login_is_begun_by_nothing_else",
            "http/test_navigations.py::test_callback_is_loaded_by_nothing_else",
        ),
    ),
    Fault(
        35,
        "a machine without memory was told as a wrong password",
        ("authelia #866", "argon2_elixir #25"),
        (
            "flows/test_no_memory.py::test_argon2_without_memory_is_503",
            "flows/test_no_memory.py::test_no_attempt_is_spent",
            "unit/crypto/test_passwords.py::test_only_a_mismatch_is_a_wrong_password",
            "store/test_limits.py::test_attempt_given_back_was_not_made",
        ),
    ),
    Fault(
        36,
        "origins of packaged apps were refused, and a form's content type without a body",
        ("appwrite #13514", "capacitor-community/http #45", "axios #861"),
        (
            "http/test_csrf.py::test_body_asks_for_no_origin",
            "http/test_csrf.py::test_packaged_app_with_cookies",
            "http/test_oauth.py::test_revocation_asks_for_no_origin",
            "unit/web/test_browsers.py::test_packaged_app_passes_where_it_is_allowed",
            "unit/domain/test_origins.py::test_origins_of_packaged_apps",
            "unit/domain/test_origins.py::test_other_schemes_are_refused",
            "http/test_logout.py::test_type_of_no_body",
            "unit/web/test_request.py::test_other_types_are_refused",
        ),
    ),
    Fault(
        37,
        "a clock that was set back kept fresh what was stale",
        ("msal-js #3786",),
        (
            "unit/domain/test_moments.py::test_age_is_the_larger_one",
            "unit/domain/test_moments.py::test_leaked_keys_go_although_the_clock_was_ahead",
            "unit/domain/test_moments.py::test_leaked_keys_go_although_the_container_slept",
            "unit/domain/test_moments.py::test_provider_that_failed_once_is_back",
            "unit/domain/test_moments.py::test_provider_is_asked_again_although_the_clock_was_ahead",
            "unit/services/test_refusals.py::test_clock_that_is_set_back_holds_nobody_up",
            "unit/domain/test_requirements.py::test_login_is_recent",
            "flows/test_identity_sessions.py::test_login_under_a_clock_that_was_ahead_is_not_recent",
            "clients/test_keyturn_guard.py::test_login_of_the_future_is_not_recent",
        ),
    ),
)

# Faults that Keyturn itself has had, and the tests that failed while it had them.
OWN_FAULTS = {
    "a link that stolen credentials had begun was finished after their owner had renewed them": (
        "flows/test_identity_sessions.py::test_link_that_a_credential_of_before_began_is_not_finished",
        "flows/test_identity_sessions.py::test_renewal_between_the_callbacks_read_and_its_write_is_seen",
    ),
    "roles that no access token can hold cost a session its refresh token": (
        "flows/test_sign_up.py::test_roles_that_no_token_can_hold_cost_no_session",
    ),
    "a token that was answered late renewed credentials without its device": (
        "flows/test_late_answers.py::test_token_that_was_answered_late_changes_no_way_in",
    ),
    "a change of who may get in left no event where its answer was lost": (
        "flows/test_renewals.py::test_lost_answer_of_a_renewal_means_logging_in_again",
    ),
    "an altered file of the installed dependencies was shipped, and tools were installed without hashes": (
        "unit/infra/test_package.py::test_altered_installed_file_is_not_shipped",
        "unit/infra/test_package.py::test_altered_wheel_is_not_shipped",
        "unit/infra/test_package.py::test_tools_are_installed_by_hash",
    ),
    "a planned rotation beside a rotation after a leak wrote the leaked keys back": (
        "unit/crypto/test_withdrawn_keys.py::test_rotation_beside_a_leak_rotation_brings_nothing_back",
        "unit/crypto/test_withdrawn_keys.py::test_container_refuses_a_withdrawn_key_wherever_it_appears",
        "unit/crypto/test_withdrawn_keys.py::test_two_rotations_lose_no_key_of_each_other",
        "rehearsal/test_key_rotation.py::test_leaked_keys_that_are_written_back_are_refused",
    ),
    "first and emergency keys signed by the operator's clock alone: an outage, and 500 without Retry-After": (
        "unit/crypto/test_keys_and_clocks.py::test_first_and_emergency_keys_sign_by_any_clock",
        "unit/crypto/test_keys_and_clocks.py::test_key_in_place_of_a_lost_one_signs_by_any_clock",
        "unit/crypto/test_withdrawn_keys.py::test_container_that_read_between_the_writes_asks_again",
        "rehearsal/test_key_rotation.py::test_emergency_keys_sign_by_any_clock",
    ),
    "two people whose addresses look alike, each proven at a provider, shared an account": (
        "flows/test_held_addresses.py::test_look_alike_opens_no_account",
        "flows/test_held_addresses.py::test_look_alike_proves_nothing",
        "flows/test_held_addresses.py::test_account_holds_the_address_as_it_was_proven",
        "unit/test_emails.py::test_no_character_is_another_drawing",
        "unit/test_emails.py::test_other_strings_are_refused",
    ),
    "a root secret that leaked came back after a rollback": (
        "unit/crypto/test_keys_after_rollback.py::test_both_groups_get_what_the_version_before_left",
    ),
    "honest tabs were two generations behind inside one window, and taken for a thief": (
        "flows/test_refresh.py::test_tabs_in_any_order_lose_nothing",
        "flows/test_refresh.py::test_key_turns_once_a_window",
        "properties/test_tabs.py::test_restored_tabs_stay_logged_in",
        "properties/test_tabs.py::test_any_order_inside_a_window_loses_nothing",
        "store/test_sessions.py::test_key_turns_once_a_window",
        "unit/domain/test_rotation.py::test_rows_of_the_table",
    ),
    "a lost answer and a phone that slept ended the session": (
        "flows/test_late_answers.py::test_own_device_is_answered_late",
        "flows/test_late_answers.py::test_any_other_device_is_a_thief",
        "flows/test_late_answers.py::test_thief_with_the_whole_jar_is_found",
        "properties/test_rotation_rules.py::test_no_honest_sequence_ends_in_theft",
        "properties/test_rotation_rules.py::test_every_thief_is_found_or_leaves_a_trace",
        "store/test_sessions.py::test_late_answer_is_held_until_the_key_turns",
        "races/test_processes.py::test_one_lost_answer_is_given_late_once",
    ),
    "whoever polled the list of sessions learned when to come inside the window, without an event": (
        "flows/test_nothing_tells.py::test_no_turn_changes_an_answer",
        "flows/test_nothing_tells.py::test_events_of_refreshing_show_two_hours_later",
        "flows/test_nothing_tells.py::test_flood_of_held_back_events_displaces_nothing",
        "flows/test_refresh.py::test_answer_to_another_client_is_an_event",
        "unit/functions/test_chronicle.py::test_what_tells_of_a_refresh_is_shown_two_hours_later",
        "unit/functions/test_security_events.py::test_event_that_is_not_shown_yet_changes_nothing",
    ),
    "dead tokens overflowed the blacklist, and pushed events off their owner's list": (
        "flows/test_dead_credentials.py::test_dead_long_lived_credential_changes_nothing",
        "flows/test_dead_credentials.py::test_dead_tokens_do_not_overflow_the_blacklist",
        "flows/test_dead_credentials.py::test_logouts_with_one_dead_token_leave_the_owners_list_alone",
        "flows/test_nothing_tells.py::test_event_that_changes_who_may_get_in_stays_on_the_list",
        "unit/functions/test_chronicle.py::test_each_kind_is_kept_in_the_range_of_its_rank",
        "store/test_events.py::test_each_rank_is_a_list_of_its_own",
    ),
    "alarms that a thief makes at will pushed a change of who may get in off its owner's list": (
        "flows/test_nothing_tells.py::test_alarms_of_a_thief_hide_no_change_of_who_may_get_in",
        "unit/functions/test_security_events.py::test_neither_alarms_nor_others_displace_a_change_of_access",
        "unit/functions/test_security_events.py::test_changes_of_access_displace_alarms_and_others",
        "unit/functions/test_security_events.py::test_expired_event_takes_no_place",
        "unit/functions/test_chronicle.py::test_each_kind_is_kept_in_the_range_of_its_rank",
        "store/test_events.py::test_each_rank_is_a_list_of_its_own",
    ),
    "a copied credential outlived its owner's password change, and gained by its owner's next login": (
        "flows/test_renewals.py::test_every_credential_of_before_is_dead",
        "flows/test_renewals.py::test_tab_that_refreshes_with_the_renewed_predecessor_is_told_invalid_grant",
        "flows/test_identity_sessions.py::test_recent_login_is_the_presented_tokens",
        "unit/domain/test_rotation.py::test_floor_comes_first",
        "unit/crypto/test_refresh_tokens.py::test_nothing_wrapped_is_none",
        "store/test_accounts.py::test_password_change_renews_the_asking_session_alone",
        "store/test_renewals.py::test_renewal_leaves_no_way_from_before",
        "races/test_processes.py::test_one_password_change_renews_one_session",
        "http/test_identities.py::test_bearer_alone_changes_nothing",
    ),
    "sessions of an account were without bound, until their list was too long to read": (
        "flows/test_session_bounds.py::test_flood_of_logins_stays_bounded",
        "flows/test_sessions.py::test_pages_hold_every_session_once",
        "store/test_sessions.py::test_pages_hold_every_session_once",
        "store/test_cost.py::test_sessions_cost_half_a_unit_for_4_kb_to_read",
    ),
    "an overflow of the blacklist revived an access token, or made one that was dead at birth": (
        "flows/test_blacklist.py::test_overflow_between_denial_and_deletion_revives_nothing",
        "flows/test_blacklist.py::test_names_that_have_expired_do_not_count",
        "flows/test_blacklist.py::test_access_token_of_the_second_of_an_overflow_works",
        "unit/domain/test_denials.py::test_no_sequence_revives_a_token_or_kills_one_at_birth",
        "unit/domain/test_denials.py::test_names_whose_time_is_over_count_no_more",
        "unit/domain/test_denials.py::test_name_that_is_denied_again_takes_no_second_place",
        "store/test_races.py::test_no_denial_is_lost_when_the_list_is_compacted",
    ),
    "the role of guard could forge refresh tokens, undo a logout and read every root secret": (
        "unit/infra/test_policies.py::test_guard_writes_nothing_that_decides",
        "unit/infra/test_policies.py::test_functions_that_decide_reach_nothing_else",
        "unit/infra/test_policies.py::test_functions_read_their_keys_and_no_other",
        "unit/functions/test_composition.py::test_keys_are_those_of_the_policy",
        "unit/crypto/test_keyring.py::test_other_groups_are_never_asked_for",
        "unit/crypto/test_keys_of_before.py::test_tokens_of_before_verify",
        "unit/crypto/test_keys_of_before.py::test_interrupted_rotation_is_completed",
        "flows/test_rights.py::test_guard_may_note_a_use",
        "store/test_sessions.py::test_use_is_noted",
        "store/test_notes_of_use.py::test_item_that_is_a_note_alone_is_no_session",
        "unit/guard/test_guard.py::test_session_remembers_when_it_was_used_and_nothing_else",
    ),
    "settings made tokens, roles and pages that were refused for ever": (
        "unit/settings/test_fitting_settings.py::test_scopes_that_no_token_can_hold_are_refused",
        "unit/settings/test_fitting_settings.py::test_accepted_settings_make_accepted_tokens",
        "unit/crypto/test_access_tokens.py::test_token_that_would_be_refused_is_not_signed",
        "unit/crypto/test_access_tokens.py::test_longest_token_is_known_before_it_is_signed",
        "unit/settings/test_fitting_settings.py::test_root_secret_that_no_token_can_name_refuses",
        "unit/settings/test_fitting_settings.py::test_page_that_no_request_may_name_is_refused",
        "flows/test_sign_up.py::test_token_that_cannot_be_signed_leaves_nothing_behind",
    ),
    "a login ended the browser's session before its own was written": (
        "flows/test_begin.py::test_former_session_ends_after_the_new_one_is_written",
        "flows/test_begin.py::test_login_whose_write_fails_keeps_the_former_session",
    ),
    "one access token had several spellings, and claims of other types were read": (
        "unit/crypto/test_access_token_spellings.py::test_changed_text_is_refused",
        "unit/crypto/test_access_token_spellings.py::test_nothing_follows_a_token",
        "unit/crypto/test_access_token_spellings.py::test_elliptic_signature_has_one_spelling",
        "unit/crypto/test_access_token_spellings.py::test_doubled_member_is_refused",
        "unit/crypto/test_access_token_spellings.py::test_claim_of_another_type_is_refused",
        "unit/crypto/test_access_token_spellings.py::test_json_that_parsers_read_differently_is_refused",
    ),
    "pictures of a login at a provider used up the counter of passwords, for everybody behind an address": (
        "http/test_navigations.py::test_login_is_begun_by_nothing_else",
        "http/test_navigations.py::test_known_browser_is_not_held_up_by_the_crowd",
    ),
    "HEAD was refused where GET only reads": (
        "http/test_head.py::test_head_is_get_without_content",
        "http/test_head.py::test_head_begins_and_finishes_no_login",
    ),
    "a member that a provider wrote as null was taken for a wrong value": (
        "unit/crypto/test_id_tokens.py::test_claim_that_is_null_is_absent",
        "unit/crypto/test_id_tokens.py::test_header_member_that_is_null_is_absent",
        "unit/crypto/test_id_token_keys.py::test_keys_member_that_is_null_is_absent",
        "unit/crypto/test_id_token_keys.py::test_key_id_that_is_null_is_absent",
        "providers/test_flow.py::test_token_response_variants",
    ),
    "a provider that had published an unusable key set was out for a minute after it was mended": (
        "providers/test_hostile_tokens.py::test_key_set_that_was_unusable",
        "providers/test_remembered.py::test_cooldown_of_its_own",
    ),
    "a provider one of whose addresses is dead was away": (
        "providers/test_addresses.py::test_first_addresses_do_not_answer",
        "providers/test_addresses.py::test_silent_address_of_a_tls_host",
        "providers/test_addresses.py::test_dead_address_is_waited_for_once",
    ),
    "an anonymous page had to fail at /csrf, and no page noticed another person's login in another tab": (
        "http/test_published.py::test_csrf_without_a_genuine_cookie",
        "http/test_published.py::test_csrf_tells_of_another_tabs_login",
    ),
    "a first curl was told that its origin is refused, and not the way out": (
        "http/test_csrf.py::test_refusal_names_the_way_out",
    ),
    "an event that is not the function's own ended in a traceback": (
        "http/test_foreign_events.py::test_event_that_is_not_its_own",
        "http/test_foreign_events.py::test_ping",
        "rehearsal/test_events.py::test_events_of_others_and_pings",
    ),
    "of tabs that began a login before any cookie existed, only the last one finished": (
        "http/test_tabs.py::test_tabs_that_begin_without_a_cookie_all_finish",
        "http/test_tabs.py::test_answer_that_comes_late_loses_no_tab",
        "http/test_tabs.py::test_own_cookies_stay_few",
    ),
    "a callback that was loaded again told an error to a person who was logged in": (
        "flows/test_loaded_again.py::test_person_who_is_logged_in_is_sent_on",
        "flows/test_loaded_again.py::test_callback_is_loaded_again_later",
        "flows/test_loaded_again.py::test_link_that_succeeded",
        "flows/test_loaded_again.py::test_login_that_failed_is_not_taken_for_the_session_of_before",
        "http/test_federation.py::test_callback_twice",
    ),
    "deviations that harm nobody ended logins: gzip, media types, statuses, empty members, other names of a refusal": (
        "providers/test_http.py::test_content_type_is_not_read",
        "providers/test_http.py::test_content_coding",
        "providers/test_flow.py::test_refused_code",
    ),
    "Apple, Microsoft's many tenants, GitHub and a second OpenID provider could not be switched on": (
        "providers/test_apple.py::test_secret_is_signed_for_each_call",
        "providers/test_microsoft.py::test_identity_is_of_its_tenant",
        "providers/test_github.py::test_person_logs_in",
        "unit/settings/test_provider_settings.py::test_several_providers_of_one_kind",
    ),
    "make run left a chunked body unread, and parsed it as the connection's next request": (
        "http/test_framing.py::test_whole_body_is_read",
        "http/test_framing.py::test_body_that_no_route_wants_is_read",
        "http/test_framing.py::test_request_in_doubt_is_refused",
        "http/test_framing.py::test_client_that_leaves_has_asked_nothing",
        "http/test_framing.py::test_slow_bodies_hold_nobody_up",
        "unit/infra/test_local_framing.py::test_chunks_are_the_body_and_nothing_after_it",
    ),
    "make run answered a wrong setting, a damaged file and Ctrl-C with a traceback": (
        "http/test_make_run.py::test_wrong_setting_is_a_line",
        "http/test_make_run.py::test_start_is_interrupted",
        "http/test_make_run.py::test_lasting_engine",
        "unit/infra/test_local_settings.py::test_port_is_plain_digits",
        "unit/infra/test_local_stage.py::test_damaged_file_is_named_with_the_remedy",
        "unit/infra/test_failure.py::test_command_says_a_line",
    ),
    "make run made its table and keys in the engine that the shell's AWS_ENDPOINT_URL named": (
        "http/test_make_run.py::test_nothing_of_the_shell_is_obeyed",
        "unit/infra/test_local_settings.py::test_shell_leads_nowhere",
    ),
    "a copied stage or a renamed table deployed and could not serve": (
        "rehearsal/test_new_stage.py::test_stage_from_one_entry",
        "rehearsal/test_new_stage.py::test_stage_whose_entry_names_nothing",
        "rehearsal/test_new_stage.py::test_copied_entry_with_the_keys_of_another_stage",
        "unit/infra/test_deployment.py::test_stage_of_one_entry",
        "unit/infra/test_deployment.py::test_stage_with_names_of_its_own",
        "unit/infra/test_role_policies.py::test_value_that_could_widen_a_policy",
        "unit/infra/test_role_policies.py::test_template_that_is_not_filled_in",
    ),
    "a misspelt setting had no effect, and nothing said so": (
        "unit/infra/test_known_settings.py::test_unknown_name",
        "unit/infra/test_known_settings.py::test_make_run_refuses_an_unknown_name",
        "rehearsal/test_new_stage.py::test_misspelt_name_stops_every_command",
    ),
    "a session could grow beyond one write unit": ("store/test_items.py::test_longest_session_is_one_write_unit",),
}

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=[str(fault.number) for fault in FAULTS])


def docstrings(path: Path, names: set[str]) -> dict[str, str]:
    """What the named tests of a file say, by name; under the empty name what the file says."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {"": ast.get_docstring(tree) or ""}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            found[node.name] = ast.get_docstring(node) or ""
    return found


def test_all_are_here() -> None:
    """The first twenty-eight and some of the later ones, each once, in their order."""
    numbers = [fault.number for fault in FAULTS]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= set(range(1, 29))


@every_fault
def test_each_is_shown_by_tests_that_name_it(fault: Fault) -> None:
    """The tests exist, and between them they say by every name which fault they are about."""
    said: list[str] = []
    assert fault.tests
    for test in fault.tests:
        name, _, function = test.partition("::")
        texts = docstrings(ROOT / "tests" / name, {function})
        assert function in texts, test
        said += texts.values()
    assert [known for known in fault.ids if not any(known in text for text in said)] == []


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_own_faults_have_their_tests(fault: str) -> None:
    """The tests that failed while Keyturn had the fault exist."""
    for test in OWN_FAULTS[fault]:
        name, _, function = test.partition("::")
        assert function in docstrings(ROOT / "tests" / name, {function}), test


@every_fault
def test_what_waits_is_a_capability_to_come(fault: Fault) -> None:
    """A fault of what does not exist yet is looked at again when it does."""
    assert not fault.waits or f"\n| {fault.waits} | " in PAGE
