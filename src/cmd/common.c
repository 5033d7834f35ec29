/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the commands share, and the two smallest of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/human.h"
#include "cmd/cli.h"
#include "platform/libvirt/libvirt.h"

const char *exit_meaning(enum err_kind kind)
{
	static const char *const meanings[ERR_KINDS] = {
		[ERR_NONE] = "success",
		[ERR_INVALID] = "wrong usage or input",
		[ERR_NOENT] = "something that was named does not exist",
		[ERR_EXISTS] = "something is there already",
		[ERR_DENIED] = "not allowed by the system or a peer",
		[ERR_KEY] = "the key does not open the repository",
		[ERR_CORRUPT] = "stored data is damaged",
		[ERR_VERSION] = "a newer format: use a newer version",
		[ERR_UNSUPPORTED] = "not possible with this system or resource",
		[ERR_BUSY] = "something else is at work on it: try again later",
		[ERR_CONFLICT] = "somebody else changed it at the same time: try again",
		[ERR_NOSPACE] = "no space left",
		[ERR_IO] = "reading or writing failed",
		[ERR_UNREACHABLE] = "the other side does not answer",
		[ERR_TIMEOUT] = "it took longer than allowed",
		[ERR_CANCELLED] = "stopped on request",
		[ERR_LIMIT] = "larger or more than allowed",
		[ERR_INTERNAL] = "a defect in this program",
	};

	return meanings[kind];
}

int cli_bytes(const struct cli *c, const char *name, uint64_t *ret, struct err *e)
{
	const char *text = parsed_text(&c->p, name);

	if (text && !human_parse_bytes(text, ret))
		return err_set(e, ERR_INVALID, "--%s '%s': write a size like 512MiB or 2GiB", name,
			       text);
	return 0;
}

int cli_duration(const struct cli *c, const char *name, uint64_t *ret_us, struct err *e)
{
	const char *text = parsed_text(&c->p, name);

	if (text && !human_parse_duration(text, ret_us))
		return err_set(e, ERR_INVALID, "--%s '%s': write a time like 500ms, 10s or 2m",
			       name, text);
	return 0;
}

int cmd_version(struct cli *c, struct err *e)
{
	(void)e;
	if (c->json)
		cli_json(json_pack("{s:s,s:i}", "version", HF_VERSION, "repository_format", 1));
	else
		printf("holdfast %s\n", HF_VERSION);
	return 0;
}

int cmd_freeze_guard(struct cli *c, struct err *e)
{
	(void)e;
	exit(libvirt_freeze_guard(c->p.args[0], c->p.args[1],
				  strtoull(c->p.args[2], NULL, 10) * 1000));
}

int cli_percent(const struct cli *c, const char *name, unsigned most, unsigned *ret, struct err *e)
{
	const char *text = parsed_text(&c->p, name);
	char *end = NULL;
	long percent;

	if (!text)
		return 0;
	percent = strtol(text, &end, 10);
	if (end == text || (*end && strcmp(end, "%") != 0) || percent < 1 || percent > (long)most)
		return err_set(e, ERR_INVALID, "--%s '%s': write a number of per cent, 1 to %u",
			       name, text, most);
	*ret = (unsigned)percent;
	return 0;
}

int cli_nameless(const struct cli *c, struct err *e)
{
	if (!c->p.n_args)
		return 0;
	return err_set(e, ERR_INVALID,
		       "'%s': only a server has targets with names; log in to one with 'holdfast "
		       "login URL'",
		       c->p.args[0]);
}
