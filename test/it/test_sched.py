# SPDX-License-Identifier: Apache-2.0
"""Schedules against other programs' answers: croniter, dateutil and zoneinfo, thousands of random cases each.

HF_SEED picks other cases, HF_SCHED_CASES more of them. A failing case prints its question, as sched_cases reads it.
"""
import datetime
import os
import random
import subprocess
import time
import types
import warnings
import zoneinfo

import pytest
from croniter import croniter
from croniter.croniter import CroniterBadDateError
from dateutil import rrule

CASES = int(os.environ.get("HF_SCHED_CASES", "600"))
PROGRAM = os.path.join(os.path.dirname(os.path.dirname(os.environ["HOLDFAST"])), "test", "sched_cases")
EPOCH = datetime.datetime(1970, 1, 1)
DAY = 86400


def ask(questions):
    done = subprocess.run([PROGRAM], input="".join("\t".join(map(str, q)) + "\n" for q in questions), text=True,
                          capture_output=True, check=True, timeout=500)
    answers = done.stdout.split("\n")[:-1]
    assert len(answers) == len(questions)
    return [a.rstrip() for a in answers]


def numbers(answer):
    assert not answer.startswith("error"), answer
    return [int(n) for n in answer.split()]


def to_s(when):
    return round((when - EPOCH).total_seconds())


def to_time(seconds):
    return EPOCH + datetime.timedelta(seconds=seconds)


@pytest.fixture
def rnd():
    return random.Random(int(os.environ.get("HF_SEED", "1")))


# ---- crontab ----

DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


def cron_part(rnd, low, high, names):
    def name(v):
        return rnd.choice([names[v - low].upper(), names[v - low]]) if names and v - low < len(names) and rnd.random() < .3 \
            else str(v)
    a, b = sorted((rnd.randint(low, high), rnd.randint(low, high)))
    kind = rnd.randrange(5)
    if kind == 0:
        return f"*/{rnd.randint(1, high)}"
    if kind == 1:
        return f"{name(a)}-{name(b)}" if a < b else str(a)
    if kind == 2:
        return f"{a}-{b}/{rnd.randint(1, high)}" if a < b else str(a)
    return name(a)


def cron_field(rnd, low, high, names=None):
    if rnd.random() < .4:
        return "*"
    return ",".join(cron_part(rnd, low, high, names) for _ in range(rnd.choice([1, 1, 1, 2, 3])))


def cron_pattern(rnd):
    return " ".join([cron_field(rnd, 0, 59), cron_field(rnd, 0, 23), cron_field(rnd, 1, 31),
                     cron_field(rnd, 1, 12, MONTHS), cron_field(rnd, 0, 6, DAYS)])


def cron_oracle(pattern, after, n):
    """croniter takes "*/2" for a restricted day and so for "either day"; Vixie's cron, its manual page and we do not
    where a field starts with *: then both must match. Its day_or says which."""
    fields = pattern.split()
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    out = []
    it = croniter(pattern, to_time(after), day_or=either, max_years_between_matches=30)
    try:
        for _ in range(n):
            out.append(to_s(it.get_next(datetime.datetime)))
    except CroniterBadDateError:
        pass
    return out


def is_comparable(pattern):
    """croniter takes days that are all listed for *, cron and we for a list: then every day is "either day"."""
    fields, sets = pattern.split(), croniter.expand(pattern)[0]
    return not any(sets[i] == ["*"] and not fields[i].startswith("*") for i in (2, 4))


def is_match(pattern, local):
    """By its sets alone."""
    minutes, hours, days, months, weekdays = croniter.expand(pattern)[0]
    when = to_time(local)

    def holds(values, v):
        return values == ["*"] or v in values
    of_month, of_week = holds(days, when.day), holds(weekdays, when.isoweekday() % 7)
    either = not any(f.startswith("*") for f in pattern.split()[2::2])
    return holds(minutes, when.minute) and holds(hours, when.hour) and holds(months, when.month) and \
        (of_month or of_week if either else of_month and of_week)


def test_crontabs_fire_when_croniter_says(rnd):
    questions = [("cron", pattern, rnd.randrange(1_600_000_000, 2_200_000_000), 5)
                 for pattern in (cron_pattern(rnd) for _ in range(CASES)) if is_comparable(pattern)]
    fired = passed_over = 0
    for question, answer in zip(questions, ask(questions)):
        want = cron_oracle(*question[1:])
        got = numbers(answer)
        # It looks 30 years ahead, we 100; and it passes over the first days of March where it looks for a 30th in
        # February (*/29): what it says must be there, and the rest must be what it calls a match itself.
        assert set(want) <= set(got) or set(got) - set(want) and set(s for s in want if s <= got[-1]) <= set(got), question
        others = [s for s in got if s not in want]
        assert all(is_match(question[1], s) for s in others), question
        fired += len(want)
        passed_over += bool(others)
    assert passed_over < CASES / 50
    assert fired > CASES * 4


def test_what_is_no_crontab_is_refused_with_the_field():
    bad = [("61 * * * *", "minute"), ("* 24 * * *", "hour"), ("* * 0 * *", "day of the month"),
           ("* * * 13 *", "month"), ("* * * * 8", "day of the week"), ("* * * foo *", "month"),
           ("5-1 * * * *", "minute"), ("*/0 * * * *", "minute"), ("1,,2 * * * *", "minute"), ("*-5 * * * *", "minute"),
           ("* * * *", "4 fields"), ("* * * * * *", "6 fields"), ("", "0 fields")]
    for (pattern, field), answer in zip(bad, ask([("cron", p or " ", 0, 1) for p, _ in bad])):
        assert answer.startswith("error crontab") and field in answer, (pattern, answer)


# ---- recurrence rules ----

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def some(rnd, low, high, negative=False, most=4):
    values = {rnd.randint(low, high) for _ in range(rnd.randint(1, most))}
    return ",".join(str(-v if negative and rnd.random() < .4 else v) for v in values)


def rule_text(rnd):
    freq = rnd.choice(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY"])
    parts = {"FREQ": freq}

    def chance(p):
        return rnd.random() < p
    if chance(.5):
        parts["INTERVAL"] = rnd.choice([1, 2, 3, 5, 7, 12, 25, 100])
    if chance(.2):
        parts["WKST"] = rnd.choice(WEEKDAYS)
    if chance(.3):
        parts["BYMONTH"] = some(rnd, 1, 12)
    if freq != "WEEKLY" and chance(.3):
        parts["BYMONTHDAY"] = some(rnd, 1, 31, True)
    if freq in ("YEARLY", "HOURLY") and chance(.2):
        parts["BYYEARDAY"] = some(rnd, 1, 366, True, 20)
    week = freq == "YEARLY" and chance(.2)
    if week:
        parts["BYWEEKNO"] = some(rnd, 1, 53, True)
    # dateutil takes all seven days of the week where no day is said; we, as the RFC says, the day of the start.
    if week or chance(.4):
        days = rnd.sample(WEEKDAYS, rnd.randint(1, 4))
        if freq in ("YEARLY", "MONTHLY") and not week and chance(.5):
            most = 5 if freq == "MONTHLY" or "BYMONTH" in parts else 53
            days = [f"{rnd.choice(['', '+', '-'])}{rnd.randint(1, most)}{d}" for d in days]
            # dateutil wants both kinds to match where the RFC says that they are one list.
        parts["BYDAY"] = ",".join(days)
    if chance(.3):
        parts["BYHOUR"] = some(rnd, 0, 23)
    if chance(.3):
        parts["BYMINUTE"] = some(rnd, 0, 59)
    if chance(.1):
        parts["BYSECOND"] = rnd.randint(0, 59)
    if chance(.3) and any(k.startswith("BY") for k in parts):
        parts["BYSETPOS"] = some(rnd, 1, 8, True, 2)
    if chance(.2):
        parts["COUNT"] = rnd.randint(1, 30)
    return parts


def rule_question(rnd):
    parts = rule_text(rnd)
    start = rnd.randrange(1_500_000_000, 1_800_000_000)
    # dateutil counts the positions of the first week and hour from the start, we in the whole period.
    if "BYSETPOS" in parts and parts["FREQ"] == "WEEKLY":
        day = start // DAY
        start = (day - (day + 3 - WEEKDAYS.index(parts.get("WKST", "MO"))) % 7) * DAY
    if "BYSETPOS" in parts and parts["FREQ"] in ("DAILY", "HOURLY"):
        start -= start % DAY
    return ("rule", ";".join(f"{k}={v}" for k, v in parts.items()), start, start + rnd.choice([-1, 0, rnd.randrange(30 * DAY)]), 6)


def rule_oracle(text, start, after, n):
    """The firings, and until when they are complete. dateutil heeds UNTIL only when it has found something, so that
    what never fires is looked for until the last year that there is: here that is a near one."""
    last = max(start, after) + DAY * (60 if "HOURLY" in text else 1000 if "DAILY" in text else 3000)
    rrule.datetime = types.SimpleNamespace(**{**vars(datetime), "MAXYEAR": to_time(last).year})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            rule = rrule.rrulestr(text, dtstart=to_time(start)).replace(until=to_time(last))
    except ValueError:
        # It has no firing at all: an interval of hours that never meets BYHOUR.
        return [], last
    out = []
    for when in rule:
        if to_s(when) > after:
            out.append(to_s(when))
        if len(out) == n:
            return out, out[-1]
    return out, last


def test_rules_fire_when_dateutil_says(rnd):
    questions = [rule_question(rnd) for _ in range(CASES)]
    fired = 0
    for question, answer in zip(questions, ask(questions)):
        want, complete = rule_oracle(*question[1:])
        assert [s for s in numbers(answer) if s <= complete] == want, question
        fired += len(want)
    assert fired > CASES * 2


def test_what_never_fires_is_known_at_once():
    bad = ["FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
           "FREQ=HOURLY;INTERVAL=2;BYHOUR=1,3,5,7,9,11,13,15,17,19,21,23", "FREQ=HOURLY;BYMINUTE=1,2;BYSETPOS=9",
           "FREQ=HOURLY;BYYEARDAY=366;BYMONTH=1", "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO;BYMONTH=6",
           "FREQ=WEEKLY;BYDAY=MO;BYHOUR=1;BYSETPOS=2", "FREQ=DAILY;BYHOUR=1;BYSETPOS=-2",
           "FREQ=YEARLY;BYYEARDAY=366;BYMONTHDAY=30;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;"
           "BYMINUTE=" + ",".join(map(str, range(60)))]
    start = 1_800_000_000 - 1_800_000_000 % DAY
    begun = time.monotonic()
    assert ask([("rule", text, start, start, 1) for text in bad] * 10) == [""] * 10 * len(bad)
    # With sanitizers, which cost a factor of ten.
    assert time.monotonic() - begun < .1 * 10 * len(bad)


# ---- zones ----

def zone_names(rnd):
    names = sorted(n for n in zoneinfo.available_timezones() if not n.startswith(("posix", "right", "localtime", "Factory")))
    always = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "Europe/Dublin",
              "America/Godthab", "Asia/Gaza", "Antarctica/Troll", "America/Sao_Paulo", "Asia/Tehran", "UTC"]
    return always + rnd.sample(names, 120)


def offset(zone, utc):
    return round(datetime.datetime.fromtimestamp(utc, zone).utcoffset().total_seconds())


def local_to_utc(zone, local):
    """RFC 5545: the first of two; in a gap, with the offset before it. PEP 495's fold=0 is just that."""
    when = to_time(local).replace(tzinfo=zone, fold=0)
    return local - round(when.utcoffset().total_seconds())


def test_offsets_are_those_of_zoneinfo(rnd):
    questions, want = [], []
    for name in zone_names(rnd):
        zone = zoneinfo.ZoneInfo(name)
        for _ in range(CASES // 60):
            utc = rnd.randrange(0, 4_300_000_000)
            questions.append(("offset", name, utc))
            want.append(offset(zone, utc))
            questions.append(("utc", name, utc))
            want.append(local_to_utc(zone, utc))
    for question, answer, right in zip(questions, ask(questions), want):
        assert int(answer) == right, question


def changes(zone, low, high):
    """Instants at which the offset changes."""
    found, step = [], 7 * DAY
    for t in range(low, high, step):
        if offset(zone, t) != offset(zone, t + step):
            a, b = t, t + step
            while b - a > 1:
                middle = (a + b) // 2
                a, b = (middle, b) if offset(zone, middle) == offset(zone, a) else (a, middle)
            found.append(b)
    return found


def test_local_times_around_every_change(rnd):
    questions, want = [], []
    for name in zone_names(rnd)[:50]:
        zone = zoneinfo.ZoneInfo(name)
        for at in rnd.sample(found, 4) if len(found := changes(zone, 1_500_000_000, 2_300_000_000)) > 4 else found:
            for _ in range(30):
                local = at + offset(zone, at) + rnd.randrange(-3 * 3600, 3 * 3600)
                questions.append(("utc", name, local))
                want.append(local_to_utc(zone, local))
    assert len(want) > 1000
    for question, answer, right in zip(questions, ask(questions), want):
        assert int(answer) == right, question


# ---- schedules across changes of clocks ----

def schedule_oracle(pattern, zone, after, n):
    """Every minute of local time that matches, made an instant; or, of a pattern for every hour, every instant at
    which clocks show such a minute. The patterns here are for every day."""
    minutes, hours = croniter.expand(pattern)[0][:2]

    def matches(local):
        return (minutes == ["*"] or local // 60 % 60 in minutes) and (hours == ["*"] or local // 3600 % 24 in hours)
    low, high = (after - 4 * DAY) // 60 * 60, after + 4 * DAY
    if hours == ["*"]:
        found = {utc for utc in range(low, high, 60) if matches(utc + offset(zone, utc))}
    else:
        found = {local_to_utc(zone, local) for local in range(low, high, 60) if matches(local)}
    return sorted(s for s in found if s > after)[:n]


def test_schedules_across_changes_of_clocks(rnd):
    patterns = ["30 2 * * *", "0 2 * * *", "45 1,2,3 * * *", "*/30 * * * *", "15 * * * *", "*/20 1-4 * * *", "0 */2 * * *",
                "0 0 * * *", "*/7 0-22 * * *", "30 1 * * *", "0,1,59 3 * * *"]
    questions, want = [], []
    for name in ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Antarctica/Troll",
                 "Asia/Gaza", "Pacific/Apia", "America/St_Johns", "Europe/Dublin"]:
        zone = zoneinfo.ZoneInfo(name)
        for at in rnd.sample(all_changes := changes(zone, 1_300_000_000, 1_900_000_000), min(4, len(all_changes))):
            for pattern in patterns:
                after = at + rnd.randrange(-5 * 3600, 4 * 3600)
                questions.append(("schedule", name, pattern, after, 12))
                want.append(schedule_oracle(pattern, zone, after, 12))
    for question, answer, right in zip(questions, ask(questions), want):
        assert numbers(answer)[:len(right)] == right, question


def test_a_daily_time_fires_once_on_both_days_of_change():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    for day, want in (((2026, 3, 28), ["28 02:30", "29 03:30", "30 02:30"]), ((2026, 10, 24), ["24 02:30", "25 02:30", "26 02:30"])):
        after = round(datetime.datetime(*day, tzinfo=zone).timestamp())
        for question in (("schedule", "Europe/Berlin", "30 2 * * *", after, 3),
                         ("calendar", r"BEGIN:VEVENT\nRRULE:FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0\nEND:VEVENT",
                          "Europe/Berlin", after, after, 3)):
            got = numbers(ask([question])[0])
            assert [datetime.datetime.fromtimestamp(s, zone).strftime("%d %H:%M") for s in got] == want
            assert all(DAY - 3601 < b - a < DAY + 3601 for a, b in zip(got, got[1:]))


# ---- calendars ----

def test_calendars_join_rules_dates_and_exceptions(rnd):
    """The union of rules and RDATE without EXDATE, as dateutil's rruleset has it, in UTC."""
    questions, want = [], []
    for _ in range(CASES // 10):
        start = rnd.randrange(1_500_000_000, 1_800_000_000)
        rules = [";".join(f"{k}={v}" for k, v in p.items()) for p in (rule_text(rnd) for _ in range(rnd.randint(1, 3)))
                 if "BYSETPOS" not in p]
        rules = {r: rule_oracle(r, start, 0, 12) for r in rules}
        rules = {r: found for r, found in rules.items() if found[0]}
        fire = sorted({s for found, _ in rules.values() for s in found})
        also = [start + rnd.randrange(100 * DAY) for _ in range(rnd.randint(0, 3))]
        if not rules:
            continue
        # Up to here the lists are complete.
        end = min(complete for _, complete in rules.values())
        except_ = rnd.sample(fire, min(len(fire), rnd.randint(0, 4)))

        def text(name, dates):
            stamps = ",".join(to_time(s).strftime("%Y%m%dT%H%M%S") + rnd.choice(["", "Z"]) for s in dates)
            return rf"\n{name}:{stamps}" if dates else ""
        body = "".join(rf"\nRRULE:{r}" for r in rules) + text("RDATE", also) + text("EXDATE", except_)
        questions.append(("calendar", rf"BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x{body}\nEND:VEVENT\nEND:VCALENDAR", "UTC", start,
                          start - 1, 12))
        want.append(([s for s in sorted(set(fire) | set(also)) if s not in except_ and s <= end], end))
    assert len(want) > CASES // 30
    for question, answer, (right, end) in zip(questions, ask(questions), want):
        got = [s for s in numbers(answer) if s <= end]
        assert got == right[:len(got)] and len(got) >= min(12, len(right)), question
