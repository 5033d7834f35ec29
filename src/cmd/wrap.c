/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/wrap.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"

#define WIDTH_MAX 100

static int line_width(void)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 40)
		return 80;
	return MIN(size.ws_col, WIDTH_MAX);
}

void wrap_print(const char *text, int indent, int at)
{
	int width = line_width(), gap = 0;

	while (*text) {
		int n = (int)strcspn(text, " \n");

		if (*text == '\n' || (at > indent && at + gap + n > width)) {
			printf("\n%*s", indent, "");
			at = indent;
			gap = 0;
		}
		printf("%*s%.*s", gap, "", n, text);
		at += gap + n;
		text += n;
		gap = *text == ' ';
		/* The end of a line is left for the next turn. */
		text += gap || n == 0;
	}
	putchar('\n');
}
