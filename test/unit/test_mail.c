/* SPDX-License-Identifier: Apache-2.0 */
/* Mails as they go out: nothing in a text becomes a header, and no line is longer than allowed. */
#include "testing.h"

#include <string.h>

#include "base/text.h"
#include "net/mail.h"

#define AT UINT64_C(1795348800000000) /* 2026-11-22 12:00 */

static char *compose(const char *subject, const char *text)
{
	static const char *const to[] = {"a@b.example", "c@d.example"};

	return mail_compose(&(const struct mail){.id = "1@h",
						 .from = "holdfast@h",
						 .to = to,
						 .n_to = 2,
						 .subject = subject,
						 .text = text,
						 .date_us = AT});
}

static void test_plain(void **state)
{
	AUTO_FREE char *m = compose("[Holdfast] Late", "a\n\nb =\n");

	(void)state;
	assert_string_equal(m, "Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
			       "From: Holdfast <holdfast@h>\r\n"
			       "To: a@b.example,\r\n c@d.example\r\n"
			       "Subject: [Holdfast] Late\r\n"
			       "Message-ID: <1@h>\r\n"
			       "Auto-Submitted: auto-generated\r\n"
			       "MIME-Version: 1.0\r\n"
			       "Content-Type: text/plain; charset=utf-8\r\n"
			       "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
			       "a\r\n\r\nb =3D\r\n");
}

static void test_injection(void **state)
{
	static const char *const subjects[] = {
		"x\r\nBcc: evil@e.example", "x\nBcc: evil@e.example\n\nbody",
		"x\rBcc: e@e.example",	    "gr\xc3\xbcn\r\nBcc: evil@e.example",
		"=?UTF-8?Q?=0D=0ABcc:_e?=", "\xff\r\nBcc: e"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		AUTO_FREE char *m = compose(subjects[i], "text\r\n.\r\nQUIT\r\n");
		const char *end = strstr(m, "\r\n\r\n");

		assert_null(strstr(m, "\nBcc"));
		assert_null(strstr(m, "\rBcc"));
		assert_non_null(end);
		assert_null(strstr(m, "=?UTF-8?Q"));
		for (const char *p = m; *p; p++)
			if (*p == '\n')
				assert_int_equal(p[-1], '\r');
			else if (*p == '\r')
				assert_int_equal(p[1], '\n');
	}
}

/* Any text of any length: short lines, ASCII, and a subject of whole characters. */
static void test_lines(void **state)
{
	char text[3000] = "";

	(void)state;
	for (size_t n = 0; n < 150; n++) {
		size_t len = 0;

		for (size_t i = 0; i < n; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
						i % 3 == 0   ? "\xe2\x98\x82"
						: i % 3 == 1 ? "x y"
							     : "\t");
		AUTO_FREE char *m = compose(text, text);
		size_t line = 0;

		for (const char *p = m; *p; p++) {
			assert_true((unsigned char)*p < 128);
			line = *p == '\n' ? 0 : line + 1;
			assert_true(line <= 79);
		}
	}
}

static void test_addresses(void **state)
{
	static const char *const good[] = {"a@b", "first.last+tag@mail.example.org", "o'x@b-c.de"};
	static const char *const bad[] = {
		"",	 "@",	  "a@",		 "@b",	       "a b@c", "a@b c",   "a@b\nc",
		"a,b@c", "<a@b>", "\"a\"@b",	 "a@b@c",      "a@-b",	"a@.b",	   "a..b@c",
		".a@b",	 "-a@b",  "a@[1.2.3.4]", "\xc3\xbc@b", "a@b>",	"a@b,c@d", "a;b@c"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!text_is_mail_address(good[i]))
			fail_msg("%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (text_is_mail_address(bad[i]))
			fail_msg("%s", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
