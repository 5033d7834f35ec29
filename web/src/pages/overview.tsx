// SPDX-License-Identifier: Apache-2.0
import { Page } from '../parts/page';
import { t } from '../texts';

export default function Overview() {
	return <Page title={t('overview.title')}>{null}</Page>;
}
