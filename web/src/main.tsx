// SPDX-License-Identifier: Apache-2.0
import { Bullseye, Spinner } from '@patternfly/react-core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Layout } from './app/layout';
import { Login } from './app/login';
import { SessionProvider, useSessionState } from './app/session';
import './app/theme';
import { t } from './texts';

function App() {
	const { state, ask, setOut } = useSessionState();
	switch (state.kind) {
		case 'asking':
			return (
				<Bullseye>
					<Spinner aria-label={t('app.loading')} />
				</Bullseye>
			);
		case 'out':
			return <Login expired={state.expired} onIn={ask} />;
		case 'failed':
			return <Login expired={false} onIn={ask} failure={state.error.message} />;
		case 'in':
			return (
				<SessionProvider key={state.identity.user_id} identity={state.identity} onOut={setOut}>
					<Layout />
				</SessionProvider>
			);
	}
}

createRoot(document.getElementById('app')!).render(
	<StrictMode>
		<App />
	</StrictMode>,
);
