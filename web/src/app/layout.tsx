// SPDX-License-Identifier: Apache-2.0
// What is around every page: the bar at the top with project, theme and user, and the way to the pages at the side.
import {
	Banner,
	Divider,
	Dropdown,
	DropdownGroup,
	DropdownItem,
	DropdownList,
	Masthead,
	MastheadBrand,
	MastheadContent,
	MastheadMain,
	MastheadToggle,
	MenuToggle,
	Nav,
	NavGroup,
	NavItem,
	NavList,
	Page,
	PageSidebar,
	PageSidebarBody,
	PageToggleButton,
	SearchInput,
	Select,
	SelectList,
	SelectOption,
	SkipToContent,
	Spinner,
} from '@patternfly/react-core';
import BarsIcon from '@patternfly/react-icons/dist/esm/icons/bars-icon';
import CheckIcon from '@patternfly/react-icons/dist/esm/icons/check-icon';
import UserIcon from '@patternfly/react-icons/dist/esm/icons/user-icon';
import { lazy, Suspense, useEffect, useMemo, useRef, useState, type LazyExoticComponent } from 'react';
import { useConnected } from '../live/hooks';
import { t } from '../texts';
import { Boundary } from './boundary';
import { findPage, nav, type Page as PageRow, type PageComponent } from './pages';
import { href, usePlace } from './router';
import { useSession } from './session';
import { setTheme, useTheme, type Theme } from './theme';
import { Toasts } from './toasts';

const loaded = new Map<PageRow, LazyExoticComponent<PageComponent>>();

function componentOf(page: PageRow): LazyExoticComponent<PageComponent> {
	let c = loaded.get(page);
	if (!c) loaded.set(page, (c = lazy(page.load)));
	return c;
}

function ProjectSwitcher() {
	const { identity, project, chooseProject } = useSession();
	const [open, setOpen] = useState(false);
	const [text, setText] = useState('');
	const shown = identity.projects.filter((p) => p.name.toLowerCase().includes(text.toLowerCase()));
	if (identity.projects.length < 2) return <span className="hf-project">{project.name}</span>;
	return (
		<Select
			isOpen={open}
			onOpenChange={setOpen}
			selected={project.id}
			onSelect={(_, id) => {
				chooseProject(String(id));
				setOpen(false);
			}}
			isScrollable
			toggle={(ref) => (
				<MenuToggle
					ref={ref}
					onClick={() => setOpen(!open)}
					isExpanded={open}
					aria-label={t('app.project', { name: project.name })}
				>
					{project.name}
				</MenuToggle>
			)}
		>
			{identity.projects.length > 10 && (
				<SearchInput
					value={text}
					onChange={(_, v) => setText(v)}
					onClear={() => setText('')}
					aria-label={t('app.findProject')}
				/>
			)}
			<SelectList>
				{shown.map((p) => (
					<SelectOption key={p.id} value={p.id}>
						{p.name}
					</SelectOption>
				))}
			</SelectList>
		</Select>
	);
}

const THEMES: Theme[] = ['system', 'light', 'dark'];

function UserMenu() {
	const { identity, logout } = useSession();
	const theme = useTheme();
	const [open, setOpen] = useState(false);
	return (
		<Dropdown
			isOpen={open}
			onOpenChange={setOpen}
			popperProps={{ position: 'right' }}
			toggle={(ref) => (
				<MenuToggle
					ref={ref}
					variant="plainText"
					icon={<UserIcon />}
					onClick={() => setOpen(!open)}
					isExpanded={open}
					aria-label={t('app.userMenu', { name: identity.user_name })}
				>
					<span className="hf-wide">{identity.user_name}</span>
				</MenuToggle>
			)}
		>
			<DropdownGroup label={t('app.theme')}>
				<DropdownList>
					{THEMES.map((x) => (
						<DropdownItem
							key={x}
							onClick={() => setTheme(x)}
							icon={<span className="hf-tick">{x === theme && <CheckIcon />}</span>}
							aria-current={x === theme}
						>
							{t(`app.theme.${x}`)}
						</DropdownItem>
					))}
				</DropdownList>
			</DropdownGroup>
			<Divider component="li" />
			<DropdownList>
				<DropdownItem to="docs" target="_blank" rel="noreferrer">
					{t('app.apiDocs')}
				</DropdownItem>
				<DropdownItem onClick={() => void logout()}>{t('app.logout')}</DropdownItem>
			</DropdownList>
		</Dropdown>
	);
}

function Top() {
	return (
		<Masthead>
			<MastheadMain>
				<MastheadToggle>
					<PageToggleButton variant="plain" aria-label={t('app.nav')} isHamburgerButton>
						<BarsIcon />
					</PageToggleButton>
				</MastheadToggle>
				<MastheadBrand>
					<a className="hf-brand" href={href('/')}>
						<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
							<rect width="32" height="32" rx="7" fill="#0b6e6e" />
							<path
								fill="none"
								stroke="#fff"
								strokeWidth="3"
								strokeLinecap="round"
								strokeLinejoin="round"
								d="M16 7v17M11 11h10M7 17c0 5 4 8 9 8s9-3 9-8"
							/>
							<circle cx="16" cy="6" r="2.2" fill="#fff" />
						</svg>
						<span>Holdfast</span>
					</a>
				</MastheadBrand>
			</MastheadMain>
			<MastheadContent>
				<div className="hf-top">
					<ProjectSwitcher />
					<UserMenu />
				</div>
			</MastheadContent>
		</Masthead>
	);
}

function Side({ path }: { path: string }) {
	const { isAdmin } = useSession();
	const active = (p: string) => (p === '/' ? path === '/' : path === p || path.startsWith(`${p}/`));
	return (
		<PageSidebar>
			<PageSidebarBody>
				<Nav aria-label={t('app.nav')}>
					{nav.map((g, i) => {
						const items = g.items.filter((x) => !x.admin || isAdmin);
						const links = items.map((x) => (
							<NavItem key={x.path} to={href(x.path)} isActive={active(x.path)}>
								{t(x.title)}
							</NavItem>
						));
						if (!items.length) return null;
						return g.title ? (
							<NavGroup key={i} title={t(g.title)}>
								{links}
							</NavGroup>
						) : (
							<NavList key={i}>{links}</NavList>
						);
					})}
				</Nav>
			</PageSidebarBody>
		</PageSidebar>
	);
}

function Lost() {
	const connected = useConnected();
	const [shown, show] = useState(false);
	// A stream ends now and then and comes back at once; only what lasts is worth a word.
	useEffect(() => {
		if (connected) {
			show(false);
			return undefined;
		}
		const timer = setTimeout(() => show(true), 4000);
		return () => clearTimeout(timer);
	}, [connected]);
	if (!shown) return null;
	return (
		<Banner status="warning" role="status">
			{t('app.lost')}
		</Banner>
	);
}

export function Layout() {
	const place = usePlace();
	const { project } = useSession();
	const found = useMemo(() => findPage(place.parts) ?? findPage(['missing']), [place.path]);
	const main = useRef<string>(place.path);
	const title = found ? t(found.page.title) : t('app.missing');
	useEffect(() => {
		document.title = `${title} · Holdfast`;
		// Who reads with a screen reader is told that it is another page.
		if (main.current !== place.path) document.getElementById('main')?.focus();
		main.current = place.path;
	}, [place.path, title]);
	const Content = found && componentOf(found.page);
	return (
		<Page
			masthead={<Top />}
			sidebar={<Side path={place.path} />}
			isManagedSidebar
			mainContainerId="main"
			mainTabIndex={-1}
			skipToContent={
				<SkipToContent
					href="#main"
					onClick={(e) => {
						e.preventDefault();
						document.getElementById('main')?.focus();
					}}
				>
					{t('app.skip')}
				</SkipToContent>
			}
		>
			<Lost />
			<Boundary place={place.path}>
				<Suspense fallback={<Spinner className="hf-loading" aria-label={t('app.loading')} />}>
					{Content && found ? (
						<Content key={project.id + place.path} params={found.params} />
					) : (
						<p className="hf-loading">{t('app.missing')}</p>
					)}
				</Suspense>
			</Boundary>
			<Toasts />
		</Page>
	);
}
