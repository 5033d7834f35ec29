// SPDX-License-Identifier: Apache-2.0
// A form in a panel, told by a list of fields; what the server says about it stands above it, in its own words.
import {
	Alert,
	Button,
	Checkbox,
	Form,
	FormGroup,
	FormHelperText,
	FormSelect,
	FormSelectOption,
	HelperText,
	HelperTextItem,
	TextArea,
	TextInput,
} from '@patternfly/react-core';
import { useId, useState, type FormEvent } from 'react';
import { SidePanel } from '../../parts/dialogs';
import { t } from '../../texts';

export interface Field {
	name: string;
	label: string;
	kind?: 'text' | 'password' | 'number' | 'choice' | 'many' | 'flag' | 'lines';
	help?: string;
	required?: boolean;
	placeholder?: string;
	choices?: { value: string; title: string }[];
	/** Shown only then. */
	when?: (values: Values) => boolean;
}

export type Values = Record<string, string>; // a flag: 'yes' or ''; many: what is chosen, with spaces between

function Input({ f, id, value, set }: { f: Field; id: string; value: string; set: (v: string) => void }) {
	const common = { id, name: f.name, isRequired: f.required, value, placeholder: f.placeholder };
	switch (f.kind) {
		case 'choice':
			return (
				<FormSelect id={id} value={value} onChange={(_, v) => set(v)}>
					{f.choices?.map((c) => (
						<FormSelectOption key={c.value} value={c.value} label={c.title} />
					))}
				</FormSelect>
			);
		case 'lines':
			return <TextArea {...common} rows={4} onChange={(_, v) => set(v)} />;
		default:
			return (
				<TextInput
					{...common}
					type={f.kind === 'password' ? 'password' : f.kind === 'number' ? 'number' : 'text'}
					autoComplete={f.kind === 'password' ? 'new-password' : 'off'}
					spellCheck={false}
					onChange={(_, v) => set(v)}
				/>
			);
	}
}

export function listOf(value: string | undefined): string[] {
	return (value ?? '').split(/[\s,]+/).filter(Boolean);
}

function Many({ f, value, set }: { f: Field; value: string; set: (v: string) => void }) {
	const id = useId();
	const chosen = listOf(value);
	return (
		<FormGroup label={f.label} role="group" isStack>
			{f.choices?.map((c) => (
				<Checkbox
					key={c.value}
					id={`${id}-${c.value}`}
					label={c.title}
					isChecked={chosen.includes(c.value)}
					onChange={(_, on) =>
						set([...chosen.filter((x) => x !== c.value), ...(on ? [c.value] : [])].join(' '))
					}
				/>
			))}
			<Help f={f} />
		</FormGroup>
	);
}

function Help({ f }: { f: Field }) {
	return (
		f.help && (
			<FormHelperText>
				<HelperText>
					<HelperTextItem>{f.help}</HelperTextItem>
				</HelperText>
			</FormHelperText>
		)
	);
}

function Row({ f, value, set }: { f: Field; value: string; set: (v: string) => void }) {
	const id = useId();
	if (f.kind === 'flag')
		return (
			<Checkbox
				id={id}
				label={f.label}
				description={f.help}
				isChecked={value === 'yes'}
				onChange={(_, on) => set(on ? 'yes' : '')}
			/>
		);
	if (f.kind === 'many') return <Many f={f} value={value} set={set} />;
	return (
		<FormGroup label={f.label} fieldId={id} isRequired={f.required}>
			<Input f={f} id={id} value={value} set={set} />
			<Help f={f} />
		</FormGroup>
	);
}

export function FormPanel(p: {
	title: string;
	submit: string;
	fields: Field[];
	start?: Values;
	/** Does it; what it throws is shown, and the panel stays. */
	onSubmit: (values: Values) => Promise<unknown>;
	onClose: () => void;
}) {
	const [values, setValues] = useState<Values>(() => ({
		...Object.fromEntries(p.fields.map((f) => [f.name, f.kind === 'choice' ? (f.choices?.[0]?.value ?? '') : ''])),
		...p.start,
	}));
	const [busy, setBusy] = useState(false);
	const [error, setError] = useState('');
	const form = useId();
	const shown = p.fields.filter((f) => !f.when || f.when(values));
	const lacks = shown.some((f) => f.required && !values[f.name]);
	const submit = async (e: FormEvent) => {
		e.preventDefault();
		setBusy(true);
		setError('');
		try {
			await p.onSubmit(Object.fromEntries(shown.map((f) => [f.name, values[f.name] ?? ''])));
			p.onClose();
		} catch (x) {
			setError(x instanceof Error ? x.message : String(x));
			setBusy(false);
		}
	};
	return (
		<SidePanel
			title={p.title}
			onClose={p.onClose}
			footer={
				<>
					<Button type="submit" form={form} isLoading={busy} isDisabled={busy || lacks}>
						{p.submit}
					</Button>
					<Button variant="link" onClick={p.onClose}>
						{t('parts.cancel')}
					</Button>
				</>
			}
		>
			<Form id={form} onSubmit={(e) => void submit(e)}>
				{error && <Alert variant="danger" isInline title={error} component="p" role="alert" />}
				{shown.map((f) => (
					<Row
						key={f.name}
						f={f}
						value={values[f.name] ?? ''}
						set={(v) => setValues((all) => ({ ...all, [f.name]: v }))}
					/>
				))}
			</Form>
		</SidePanel>
	);
}
