/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fio.h"
#include "testing.h"

static int even(const char *text, struct err *e)
{
	return strlen(text) % 2 ? err_set(e, ERR_INVALID, "an even number of letters, please") : 0;
}

static const char *const colours[] = {"red", "green", NULL};
static const char *const schemes[] = {"https", "db", NULL};

static const struct config_section sections[] = {{"main", "what there is"}, {"other", "more"}, {0}};
static const struct config_option options[] = {
	{"main", "text", CONFIG_TEXT, NULL, "xy", .check = even, .help = "a text", .live = true},
	{"main", "colour", CONFIG_TEXT, NULL, "red", .choices = colours, .help = "a colour"},
	{"main", "number", CONFIG_INT, NULL, "3", -5, 10, .help = "a number"},
	{"main", "size", CONFIG_SIZE, NULL, "4K", 1024, 1048576, .help = "a size"},
	{"main", "time", CONFIG_DURATION, NULL, "1m", CONFIG_SECONDS(1), CONFIG_HOURS(1),
	 .help = "a time", .live = true},
	{"main", "flag", CONFIG_BOOL, NULL, "no", .help = "a flag"},
	{"other", "list", CONFIG_LIST, NULL, "red", 1, 3, colours, .help = "a list"},
	{"other", "words", CONFIG_LIST, .check = even, .help = "even words"},
	{"other", "where", CONFIG_URL, .choices = schemes, .help = "a URL"},
	{"other", "file", CONFIG_FILE, .help = "a file"},
	{"other", "secret", CONFIG_SECRET, .help = "a secret"},
	{"other", "folder", CONFIG_PATH, NULL, "/tmp", .help = "a folder"},
	{0},
};
static const struct config_schema schema = {"HFT", sections, options};

struct fixture {
	char *folder, *file;
	struct config_problems p;
	struct config *c;
};

static int up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->folder = test_folder();
	f->file = test_path(f->folder, "c");
	*state = f;
	return 0;
}

static void forget(struct fixture *f)
{
	config_free(f->c);
	f->c = NULL;
	config_problems_done(&f->p);
}

static int down(void **state)
{
	struct fixture *f = *state;

	forget(f);
	test_folder_done(f->folder);
	free(f->file);
	free(f);
	return 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
	OK(fio_replace(path, text, strlen(text), mode, e));
}

/* Load a file with this text (NULL: none). */
static void load(struct fixture *f, const char *text)
{
	struct config_source src = {.file = f->file};

	forget(f);
	if (text)
		write_file(f->file, text, 0600);
	else
		src.file = NULL;
	f->c = config_load(&schema, &src, &f->p);
}

/* Exactly one problem, with this after the file's name. */
static void wrong(struct fixture *f, const char *text, const char *want)
{
	load(f, text);
	assert_int_equal(f->p.n, 1);
	assert_true(strlen(f->p.text[0]) > strlen(f->file));
	assert_string_equal(f->p.text[0] + strlen(f->file), want);
}

static void right(struct fixture *f, const char *text)
{
	load(f, text);
	if (f->p.n)
		fail_msg("%s", f->p.text[0]);
}

static void test_defaults(void **state)
{
	struct fixture *f = *state;

	load(f, NULL);
	assert_int_equal(f->p.n, 0);
	assert_string_equal(config_text(f->c, "main", "text"), "xy");
	assert_string_equal(config_text(f->c, "main", "colour"), "red");
	assert_int_equal(config_int(f->c, "main", "number"), 3);
	assert_int_equal(config_size(f->c, "main", "size"), 4096);
	assert_int_equal(config_us(f->c, "main", "time"), 60000000);
	assert_false(config_bool(f->c, "main", "flag"));
	assert_string_equal(config_list(f->c, "other", "list")[0], "red");
	assert_null(config_list(f->c, "other", "list")[1]);
	assert_null(config_list(f->c, "other", "words")[0]);
	assert_null(config_text(f->c, "other", "where"));
	assert_string_equal(config_where(f->c, "other", "folder"), "default");
}

/* A table with a default that its own check refuses is a defect that is seen at once. */
static void test_wrong_default(void **state)
{
	static const struct config_option odd[] = {
		{"main", "text", CONFIG_TEXT, NULL, "odd", .check = even, .help = "a text"}, {0}};
	static const struct config_schema wrong_schema = {"HFT", sections, odd};
	struct fixture *f = *state;
	struct config_source src = {0};

	f->c = config_load(&wrong_schema, &src, &f->p);
	assert_int_equal(f->p.n, 1);
	assert_string_equal(f->p.text[0],
			    "default: [main] text 'odd': an even number of letters, please");
}

#define FINE "[main]\ntext=even\n"

static void test_values(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *where = NULL;

	right(f, FINE "number = -5\nsize=1MiB\ntime=1h\nflag=On\ncolour=green\n[other]\n"
		      "list=green,\n red, ,red\nwords = a cd ,ef\nwhere=https://h:1/x\nfolder=/\n");
	assert_string_equal(config_text(f->c, "main", "text"), "even");
	assert_int_equal(config_int(f->c, "main", "number"), -5);
	assert_int_equal(config_size(f->c, "main", "size"), 1048576);
	assert_int_equal(config_us(f->c, "main", "time"), 3600000000);
	assert_true(config_bool(f->c, "main", "flag"));
	assert_string_equal(config_list(f->c, "other", "list")[0], "green");
	assert_string_equal(config_list(f->c, "other", "list")[2], "red");
	assert_null(config_list(f->c, "other", "list")[3]);
	assert_string_equal(config_list(f->c, "other", "words")[0], "a cd");
	assert_string_equal(config_text(f->c, "other", "where"), "https://h:1/x");
	where = xasprintf("%s:3:10", f->file);
	assert_string_equal(config_where(f->c, "main", "number"), where);
	right(f, FINE "[other]\nwhere=db:/f\nwords=\nfolder=\n");
	assert_null(config_text(f->c, "other", "folder"));
}

static void test_wrong_values(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{"number = 11", ":4:10: [main] number '11': it must lie between -5 and 10"},
		{"number = 0x1", ":4:10: [main] number '0x1': a whole number is expected"},
		{"number = 99999999999999999999",
		 ":4:10: [main] number '99999999999999999999': a whole number is expected"},
		{"number =", ":4:1: [main] number '': a value is expected"},
		{"size=1", ":4:6: [main] size '1': it must lie between 1.0 KiB and 1.0 MiB"},
		{"size=1Q", ":4:6: [main] size '1Q': a size is expected, such as 64K or 1MiB"},
		{"time=16777216T",
		 ":4:6: [main] time '16777216T': a duration is expected, such as 30s, 5m or 12h"},
		{"time=2h", ":4:6: [main] time '2h': it must lie between 1.0 s and 1 h 00 min"},
		{"flag=maybe", ":4:6: [main] flag 'maybe': yes or no is expected"},
		{"colour=blue", ":4:8: [main] colour 'blue': one of these is expected: red, green"},
		{"colour=red\n green",
		 ":4:8: [main] colour 'red…': only a list may go on over several lines: does the "
		 "line after it begin with a space?"},
		{"[other]\nlist=", ":5:1: [other] list '': at least 1 must be named"},
		{"[other]\nlist=red,red,red,red",
		 ":5:6: [other] list 'red,red,red,red': at most 3 may be named"},
		{"[other]\nlist=red,blue", ":5:6: [other] list 'red,blue': 'blue': one of these is "
					   "expected: red, green"},
		{"[other]\nwords=odd",
		 ":5:7: [other] words 'odd': 'odd': an even number of letters, "
		 "please"},
		{"[other]\nwhere=http://x",
		 ":5:7: [other] where 'http://x': a URL that begins with "
		 "https: or db: is expected"},
		{"[other]\nwhere=https",
		 ":5:7: [other] where 'https': a URL that begins with https: "
		 "or db: is expected"},
		{"[other]\nwhere=https://", ":5:7: [other] where 'https://': nothing to reach is "
					    "named after https:"},
		{"[other]\nwhere=https://a b", ":5:7: [other] where 'https://a b': a URL has no "
					       "spaces"},
		{"[other]\nwhere=x://me:secret@h", ":5:7: [other] where 'x://me:***@h': a URL that "
						   "begins with https: or db: is expected"},
		{"[other]\nfile=a/b", ":5:6: [other] file 'a/b': a path that begins with / is "
				      "expected"},
		{"[othr]\nx=y", ":4:2: there is no section [othr]: did you mean [other]?"},
		{"[zzz]\nx=y\nz=y", ":4:2: there is no section [zzz]"},
		{"numbr=1", ":4:1: [main] has no option 'numbr': did you mean 'number'?"},
		{"folder=/", ":4:1: [main] has no option 'folder': it belongs in [other]"},
		{"zzz=/", ":4:1: [main] has no option 'zzz'"},
		{"flag=1\nflag=0", ":5:1: [main] flag is set already in line 4"},
		{"!", ":4:1: a line is [section], name = value, or a # comment"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		AUTO_FREE char *text = xasprintf("%s\n%s\n", FINE, rows[i].line);

		wrong(*state, text, rows[i].want);
	}
}

static void test_all_is_told(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF text = BUF_INIT;

	load(f, FINE "a=1\nb=2\n!\nflag=7\n");
	assert_int_equal(f->p.n, 4);
	buf_text(&text, FINE);
	for (unsigned i = 0; i < 150; i++)
		buf_text(&text, "zzz=1\n");
	load(f, buf_str(&text));
	assert_int_equal(f->p.n, 150);
}

static void test_files_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	struct config_source src = {.file = "/nonexistent/c", .may_lack = true};

	f->c = config_load(&schema, &src, &f->p);
	assert_int_equal(f->p.n, 0);
	forget(f);
	src.may_lack = false;
	f->c = config_load(&schema, &src, &f->p);
	assert_int_equal(f->p.n, 1);
	assert_non_null(strstr(f->p.text[0], "/nonexistent/c"));
}

static void test_ranks(void **state)
{
	struct fixture *f = *state;
	const char *environment[] = {
		"HFT_MAIN_NUMBER=5", "HFT_MAIN_SIZE=8K", "HFT_MAIN_FLAG=", "HFTX=1",
		"HFT_NOTHING=2",     "HFT_MAIN_NUMBR=1", "HFT_OTHER_=1",   NULL};
	struct config_given given[] = {{"--number", "main", "number", "6"},
				       {"--set", "main", "nmber", "6"}};
	struct config_source src = {
		.file = f->file, .environ = environment, .given = given, .n_given = 2};

	write_file(f->file, FINE "number=4\nsize=2K\ntime=2\n", 0600);
	f->c = config_load(&schema, &src, &f->p);
	assert_int_equal(f->p.n, 3);
	assert_string_equal(f->p.text[0], "environment HFT_MAIN_NUMBR: [main] has no option "
					  "'numbr': did you mean 'number'?");
	assert_string_equal(f->p.text[1],
			    "environment HFT_MAIN_FLAG: [main] flag '': a value is expected");
	assert_string_equal(f->p.text[2],
			    "--set: [main] has no option 'nmber': did you mean 'number'?");
	assert_int_equal(config_int(f->c, "main", "number"), 6);
	assert_string_equal(config_where(f->c, "main", "number"), "--number");
	assert_int_equal(config_size(f->c, "main", "size"), 8192);
	assert_string_equal(config_where(f->c, "main", "size"), "environment HFT_MAIN_SIZE");
	assert_int_equal(config_us(f->c, "main", "time"), 2000000);
}

static void test_files_that_are_named(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *path = test_path(f->folder, "s");
	AUTO_FREE char *text = xasprintf(FINE "[other]\nfile=%s\nsecret=%s\n", f->folder, path);
	AUTO_FREE char *want =
		xasprintf("%s:4:6: [other] file '%s': it is no file", f->file, f->folder);
	AUTO(secret) s = NULL;

	right(f, text);
	config_check_files(f->c, &f->p);
	assert_int_equal(f->p.n, 2);
	assert_string_equal(f->p.text[0], want);
	assert_non_null(strstr(f->p.text[1], "it cannot be read: No such file"));
	write_file(path, "hush\r\n", 0604);
	right(f, text);
	config_check_files(f->c, &f->p);
	assert_int_equal(f->p.n, 2);
	assert_non_null(strstr(f->p.text[1], "everybody on this machine may read it: chmod o-rwx"));
	OK(config_secret(f->c, "other", "secret", &s, e));
	assert_int_equal(s->len, 4);
	assert_memory_equal(s->data, "hush", 4);
	write_file(path, "\n", 0600);
	FAILS(ERR_INVALID, config_secret(f->c, "other", "secret", &s, e));
	load(f, NULL);
	secret_free(s);
	OK(config_secret(f->c, "other", "secret", &s, e));
	assert_null(s);
}

static void test_long_secret(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *path = test_path(f->folder, "s");
	AUTO_FREE char *text = xasprintf(FINE "[other]\nsecret=%s\n", path);
	AUTO_FREE char *long_text = xcalloc(1, 70000);
	AUTO(secret) s = NULL;

	right(f, text);
	FAILS(ERR_NOENT, config_secret(f->c, "other", "secret", &s, e));
	memset(long_text, 'x', 69999);
	write_file(path, long_text, 0600);
	FAILS(ERR_LIMIT, config_secret(f->c, "other", "secret", &s, e));
}

static void on_change(const struct config_option *o, bool kept, void *arg)
{
	buf_fmt(arg, "%s%s ", o->name, kept ? "!" : "");
}

static void test_taking_over(void **state)
{
	struct fixture *f = *state;
	AUTO(config) old = NULL;
	AUTO_BUF said = BUF_INIT;

	right(f, FINE "number=4\nsize=2K\n[other]\nlist=red,green\n");
	old = steal(&f->c);
	right(f, "[main]\ntext=other.\nnumber=4\nsize=3K\n");
	assert_int_equal(config_take_over(f->c, old, on_change, &said), 3);
	assert_string_equal(buf_str(&said), "text size! list! ");
	assert_string_equal(config_text(f->c, "main", "text"), "other.");
	assert_int_equal(config_size(f->c, "main", "size"), 2048);
	assert_string_equal(config_list(f->c, "other", "list")[1], "green");
	assert_non_null(strstr(config_where(f->c, "main", "size"), ":4:6"));
	said.len = 0;
	assert_int_equal(config_take_over(f->c, f->c, on_change, &said), 0);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *text, *host;
		int port;
	} rows[] = {
		{"127.0.0.1:80", "127.0.0.1", 80},
		{"[::1]:65535", "::1", 65535},
		{"*:0", "*", 0},
		{"[2001:db8::1]:1", "2001:db8::1", 1},
		{"127.0.0.1", NULL, 0},
		{"[::1]", NULL, 0},
		{"::1:80", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:-1", NULL, 0},
		{"127.0.0.1: 1", NULL, 0},
		{"localhost:80", NULL, 0},
		{":80", NULL, 0},
		{"[]:80", NULL, 0},
		{"[127.0.0.1]:80", NULL, 0},
		{"[*]:80", "*", 80},
		{"", NULL, 0},
		{"[:80", NULL, 0},
		{"]:80", NULL, 0},
	};
	char host[64];
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!rows[i].host) {
			FAILS(ERR_INVALID,
			      config_address(rows[i].text, host, sizeof(host), &port, e));
			continue;
		}
		OK(config_address(rows[i].text, host, sizeof(host), &port, e));
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
		OK(config_check_address(rows[i].text, e));
	}
	FAILS(ERR_INVALID, config_address("127.0.0.1:80", host, 9, &port, e));
}

static void test_a_problem_of_a_part(void **state)
{
	struct fixture *f = *state;

	load(f, FINE "[other]\nwhere=db://me:x@y/@z\n");
	config_problem(f->c, "other", "where", &f->p, "nobody is at %s", "home");
	assert_int_equal(f->p.n, 1);
	assert_string_equal(f->p.text[0] + strlen(f->file),
			    ":4:7: [other] where 'db://me:***@y/@z': nobody is at home");
}

/* What is printed, read again, gives the same. */
static void test_printing(void **state)
{
	struct fixture *f = *state;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *example = NULL;
	AUTO_FREE char *manual = NULL;
	AUTO(config) old = NULL;
	AUTO_BUF said = BUF_INIT;
	size_t n;
	FILE *out;

	right(f,
	      FINE "number=4\n[other]\nlist=red,\n green\nwords=\nwhere=db://h?password=xy&a=b\n");
	out = open_memstream(&text, &n);
	config_print(f->c, out);
	fclose(out);
	assert_non_null(strstr(text, ":3:8\nnumber = 4\n"));
	assert_non_null(strstr(text, "where = db://h?password=***&a=b\n"));
	assert_non_null(strstr(text, "# default\n#file =\n"));
	old = steal(&f->c);
	right(f, text);
	config_take_over(f->c, old, on_change, &said);
	assert_string_equal(buf_str(&said), "where! ");
	out = open_memstream(&example, &n);
	config_print_example(&schema, "Title", out);
	fclose(out);
	assert_non_null(strstr(example, "# Title\n\n[main]\n\n# A text.\n#text = xy\n"));
	load(f, example);
	assert_int_equal(f->p.n, 0);
	out = open_memstream(&manual, &n);
	config_print_manual(&schema, out);
	fclose(out);
	assert_non_null(strstr(manual, "## [main]\n\nWhat there is.\n\n*text* = _TEXT_\n\tA text. "
				       "Default: xy. Reload. Environment: *HFT\\_MAIN\\_TEXT*.\n"));
	assert_non_null(strstr(manual, "*colour* = _TEXT_\n\tA colour. One of: red, green."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_defaults, up, down),
		cmocka_unit_test_setup_teardown(test_wrong_default, up, down),
		cmocka_unit_test_setup_teardown(test_values, up, down),
		cmocka_unit_test_setup_teardown(test_wrong_values, up, down),
		cmocka_unit_test_setup_teardown(test_all_is_told, up, down),
		cmocka_unit_test_setup_teardown(test_files_that_cannot_be_read, up, down),
		cmocka_unit_test_setup_teardown(test_ranks, up, down),
		cmocka_unit_test_setup_teardown(test_files_that_are_named, up, down),
		cmocka_unit_test_setup_teardown(test_long_secret, up, down),
		cmocka_unit_test_setup_teardown(test_taking_over, up, down),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test_setup_teardown(test_a_problem_of_a_part, up, down),
		cmocka_unit_test_setup_teardown(test_printing, up, down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
