/* SPDX-License-Identifier: Apache-2.0 */
/* wrap.h: text for people, in lines as long as the terminal is wide, or 80. Threads: any. */
#ifndef HF_CMD_WRAP_H
#define HF_CMD_WRAP_H

/* Print it and end the line; lines are indented by `indent` but for the first, which goes on at
 * column `at`. */
void wrap_print(const char *text, int indent, int at);

#endif
