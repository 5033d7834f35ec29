/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/daemon.h"

int main(int argc, char **argv)
{
	return daemon_main(&holdfastd_program, argc, argv);
}
